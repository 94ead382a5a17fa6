"""Leaders that are about to be registered, good at whatever a test wants, with files as weights."""

from __future__ import annotations

from pathlib import Path

from mlpo.config import Params
from mlpo.method.prompts import AgentPrompt
from mlpo.tracking.candidate import Candidate
from mlpo.tracking.gate import Evaluation
from mlpo.tracking.register import Registration, register_leader
from mlpo.tracking.runs import stage_run
from mlpo.types import Message

SFT, MLPO, PROBLEMS = Path("data/leaders/sft"), Path("data/leaders/mlpo"), Path("data/problems")


def write_leader(folder: Path, content: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_text(content, encoding="utf-8")
    (folder / "config.json").write_text("{}", encoding="utf-8")


def candidate(
    params: Params, flags: str = "0011", *, weights: str = "w0", invalid_rate: float = 0.0, prefix: str = "p"
) -> Candidate:
    """A leader that has these problems right; their ids begin with `prefix`."""
    leader = {
        "accuracy": 0.5, "interval": [0.2, 0.8], "n": len(flags), "invalid_rate": invalid_rate,
        "generations": 6.0, "prompt_tokens": 100.0, "completion_tokens": 20.0,
    }  # fmt: skip
    return Candidate(
        folder=MLPO,
        weights=weights,
        base_model="embedded@abc",
        prompts="p0",
        params=params,
        evaluation=Evaluation.of({f"{prefix}{i}": flag == "1" for i, flag in enumerate(flags)}, leader),
        metrics={"strategies": {"leader": leader}},
        table="| strategy | accuracy |",
        team=[AgentPrompt(name, "") for name in params.team],
        example=(Message("user", "Capital of France?"),),
    )


def register(leader: Candidate) -> Registration:
    with stage_run("register", leader.params) as run:
        return register_leader(run, leader, inputs=[PROBLEMS])

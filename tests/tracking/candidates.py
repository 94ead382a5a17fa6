"""Leaders that are about to be registered, good at whatever a test wants, with files as weights."""

from __future__ import annotations

from pathlib import Path

from mlpo.config import Params
from mlpo.method.prompts import AgentPrompt
from mlpo.tracking.candidate import Candidate
from mlpo.tracking.gate import Evaluation
from mlpo.tracking.register import Registration, register_leader
from mlpo.tracking.stage_run import stage_run
from mlpo.types import Message

LEADER_MODEL = Path(__file__).parents[2] / "mlpo/stages/leader_model.py"
SFT, MLPO, PROBLEMS = Path("data/leaders/sft"), Path("data/leaders/mlpo"), Path("data/problems")


STATISTICS = {
    "benchmark": "basics", "licence": "Apache-2.0; GeoNames CC BY 4.0", "source": "package", "problems": {"train": 196},
    "contamination": {"exact": 0, "ngram": 3},
}  # fmt: skip


def write_leader(folder: Path, content: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_text(content, encoding="utf-8")
    (folder / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}', encoding="utf-8")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "LlamaTokenizer"}', encoding="utf-8")


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
        example=(Message("system", "Lead."), Message("user", "Capital of France?\ngeo: Paris")),
        solo_example=(Message("system", "Lead."), Message("user", "Capital of France?")),
        data=STATISTICS,
    )


def register(leader: Candidate) -> Registration:
    with stage_run("register", leader.params) as run:
        return register_leader(run, leader, inputs=[PROBLEMS], code=LEADER_MODEL)

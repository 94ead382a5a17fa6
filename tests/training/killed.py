"""A program that trains twice: once unbroken, once killed with SIGKILL at three random moments and started again.

    python killed.py sft|mlpo MODEL_FOLDER WORK_FOLDER SEED

Every life is a fork of this process, which has imported everything and computed nothing. Prints one line of JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import torch

from mlpo.config import RuntimeConfig, TrainMlpoConfig, TrainSftConfig
from mlpo.method.rewards import RewardParts
from mlpo.models.load import LoadedModel, load_model
from mlpo.training.mlpo import train_mlpo
from mlpo.training.prompt_schedule import TrainingPrompt
from mlpo.training.rollouts import Roller
from mlpo.training.run_folder import RunFolder
from mlpo.training.sft import train_sft
from mlpo.types import Demonstration, Message, Problem, Sampling

STEPS = 7
RUNTIME = RuntimeConfig(micro_batch_tokens=256)


def sft(leader: LoadedModel, run_folder: RunFolder, moment: Callable[[], None]) -> None:
    rows = [
        Demonstration(f"p{n}", "sum", "solo_confirm", (Message("user", f"{n} + 1?"),), f"<answer>{n + 1}</answer>")
        for n in range(14)
    ]
    config = TrainSftConfig(epochs=1, batch_size=2, learning_rate=0.01, save_steps=2)
    train_sft(leader, rows, config, seed=5, runtime=RUNTIME, run_folder=run_folder, log=lambda *_: moment())


def mlpo(leader: LoadedModel, run_folder: RunFolder, moment: Callable[[], None]) -> None:
    def score(text: str, reason: str, problem: Problem) -> RewardParts:
        moment()
        return RewardParts(float(text[:1].isdigit() or text[:1] in "abcdef"), float(text[-1:].isalpha()))

    problems = [Problem(f"p{n}", "basics", "sum", f"{n} + 1?", str(n + 1), "integer") for n in range(14)]
    config = TrainMlpoConfig(
        steps=STEPS, prompts_per_step=2, group_size=4, max_completion_tokens=5, learning_rate=0.01, save_steps=2,
        beta=0.01, warmup_steps=3, max_zero_reward_steps=STEPS + 1,
    )  # fmt: skip
    roller = Roller(4, Sampling(1.0, 1.0, 5), 5, score)
    plan = [TrainingPrompt(p) for p in problems]
    train_mlpo(leader, plan, config, roller=roller, runtime=RUNTIME, run_folder=run_folder)


def live(kind: str, model: str, folder: Path, death: int | None) -> None:
    """One life in a process of its own; it ends at its `death`-th moment, or writes what it reached."""
    pid = os.fork()
    if pid:
        status = os.waitpid(pid, 0)[1]
        if os.waitstatus_to_exitcode(status) not in (0, -signal.SIGKILL):
            sys.exit(f"the life that was to die at {death} failed")
        return
    moments = count(1)

    def moment() -> None:
        if next(moments) == death:
            os.kill(os.getpid(), signal.SIGKILL)

    run_folder = RunFolder(folder)
    run_folder.claim({"steps": STEPS})
    run_folder.run_id = run_folder.run_id or f"run of the life to die at {death}"
    random.seed(death)  # a new life does not begin with the old one's random states
    torch.manual_seed(death or 0)
    leader = load_model(model, device="cpu", dtype="float32")
    (sft if kind == "sft" else mlpo)(leader, run_folder, moment)
    whole = hashlib.sha256()
    for name, weight in leader.model.named_parameters():
        whole.update(name.encode() + weight.detach().numpy().tobytes())
    result = {
        "weights": whole.hexdigest(),
        "curve": run_folder.curve.rows(),
        "rollouts": run_folder.rollouts.rows(),
    }
    folder.with_suffix(".json").write_text(json.dumps({"same": result, "run_id": run_folder.run_id}))
    os._exit(0)


def main(kind: str, model: str, work: Path, seed: int) -> None:
    torch.set_num_threads(1)
    live(kind, model, work / "unbroken", None)
    # Moments a step: one for SFT, one per completion for MLPO. Checkpoints fall after steps 2, 4 and 6.
    each = 1 if kind == "sft" else 8
    rng = random.Random(seed)
    deaths = [rng.randint(2 * each + 1, 3 * each) if i == 0 else rng.randint(1, 3 * each) for i in range(3)]
    reached = []
    for death in deaths:
        live(kind, model, work / "killed", death)
        reached.append(RunFolder(work / "killed").checkpoint_step())
    live(kind, model, work / "killed", None)
    unbroken, killed = (json.loads((work / f"{name}.json").read_text()) for name in ("unbroken", "killed"))
    print(json.dumps({
        "equal": {key: unbroken["same"][key] == killed["same"][key] for key in unbroken["same"]},
        "steps": [row["step"] for row in killed["same"]["curve"]],
        "reached": reached,
        "deaths": deaths,
        "run_id": killed["run_id"],
    }))  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))

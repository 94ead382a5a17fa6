"""A program that trains the same by one process, by two, and by two that share the weights out, and leaves all results.

    python together.py MODEL_FOLDER WORK_FOLDER

Every process is a fork of this one, which has imported everything and computed nothing. The processes of a run find
each other as under a launcher, by gloo. WORK_FOLDER/<run>.pt holds weights, curve and roll-outs of every run.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch.distributed.tensor import DTensor
from torch.optim.optimizer import register_optimizer_step_post_hook

from mlpo.config import LoraConfig, RuntimeConfig, TrainMlpoConfig, TrainSftConfig
from mlpo.method.rewards import RewardParts
from mlpo.models.load import LoadedModel, load_model
from mlpo.training.distributed import LostProcessError, Ranks, join_ranks
from mlpo.training.mlpo import train_mlpo
from mlpo.training.prompt_schedule import TrainingPrompt
from mlpo.training.rollouts import Roller
from mlpo.training.run_folder import RunFolder
from mlpo.training.run_log import Log, log_nothing
from mlpo.training.sft import train_sft
from mlpo.types import Completion, Demonstration, Message, Problem, Sampling

RUNTIME = RuntimeConfig(micro_batch_tokens=256)
SHARDED = RUNTIME.model_copy(update={"shard": True})
SEVEN = [Problem(f"p{n}", "basics", "sum", f"{n} + 1?", str(n + 1), "integer") for n in range(7)]
LOST = 75
Train = Callable[[LoadedModel, RunFolder, RuntimeConfig, Ranks, Log], None]


def score(text: str, reason: str, problem: Problem) -> RewardParts:
    """A random model earns some of each. Problem p1 is hopeless, so a group of it never carries signal."""
    if problem.id == "p1" or not text:
        return RewardParts(0.0, 0.0)
    return RewardParts(float(text[0].isdigit() or text[0] in "abcdef"), float(text[-1].isalpha()))


def ask_again(prompts: Sequence[TrainingPrompt], drafts: Sequence[str]) -> list[TrainingPrompt]:
    """Agents that repeat the leader's draft."""
    said = [Completion(p.problem.id, "geo", text, "stop", 9, 2) for p, text in zip(prompts, drafts, strict=True)]
    return [replace(p, proposals=(one,)) for p, one in zip(prompts, said, strict=True)]


def sft(leader: LoadedModel, run_folder: RunFolder, runtime: RuntimeConfig, ranks: Ranks, log: Log) -> None:
    """Seven rows in threes: shares of two and one, and at last of one and none."""
    rows = [
        Demonstration(p.id, "sum", "solo_confirm", (Message("user", p.question),), f"<answer>{p.target}</answer>")
        for p in SEVEN
    ]
    config = TrainSftConfig(epochs=1, batch_size=3, learning_rate=0.01, max_grad_norm=0.5)
    train_sft(leader, rows, config, seed=5, runtime=runtime, run_folder=run_folder, log=log, ranks=ranks)


def mlpo(
    leader: LoadedModel, run_folder: RunFolder, runtime: RuntimeConfig, ranks: Ranks, log: Log, **changes: object
) -> None:
    """Three prompts a step, so shares of two and one; of step 1 the second process has the hopeless problem alone."""
    config = TrainMlpoConfig.model_validate({
        "steps": 4, "prompts_per_step": 3, "group_size": 4, "max_completion_tokens": 5, "learning_rate": 0.01,
        "save_steps": 2, "beta": 0.01, "max_grad_norm": 0.1, "max_zero_reward_steps": 99,
    } | changes)  # fmt: skip
    shown = Completion("", "geo", "17", "stop", 9, 2)
    plan = [
        TrainingPrompt(p) if n % 2 else TrainingPrompt(p, (replace(shown, problem_id=p.id),), 0, n % 4 == 0)
        for n, p in enumerate(SEVEN[i % 7] for i in range(12))
    ]
    roller = Roller(4, Sampling(1.0, 1.0, 5), 5, score, ask_again if ranks.is_main else None)
    train_mlpo(
        leader, plan, config, roller=roller, runtime=runtime, run_folder=run_folder, log=log, ranks=ranks,
    )  # fmt: skip


def lora(leader: LoadedModel, run_folder: RunFolder, runtime: RuntimeConfig, ranks: Ranks, log: Log) -> None:
    """Adapters, and two updates on a batch."""
    adapters = {"lora": LoraConfig(rank=2), "updates_per_batch": 2, "learning_rate": 0.02, "max_kl": 1000.0}
    mlpo(leader, run_folder, runtime, ranks, log, **adapters)


def last_layer(leader: LoadedModel, run_folder: RunFolder, runtime: RuntimeConfig, ranks: Ranks, log: Log) -> None:
    """One layer of two, in parts of one group each, so that the second process has fewer."""
    mlpo(leader, run_folder, runtime.model_copy(update={"micro_batch_tokens": 150}), ranks, log, trainable_layers=1)


def stop_at(step: int) -> Log:
    """A log that ends its process."""

    def log(metrics: object, done: int) -> None:
        if done == step:
            os._exit(9)

    return log


class Held:
    """Bytes in this process after the last optimizer step: of trained weights, their gradients and Adam's moments."""

    def __init__(self) -> None:
        self.bytes: dict[str, int] = {}
        register_optimizer_step_post_hook(self._measure)

    def _measure(self, optimizer: torch.optim.Optimizer, *_: object) -> None:
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        moments = [value for own in optimizer.state.values() for value in own.values() if value.ndim]
        kinds = {"weights": weights, "gradients": gradients, "moments": moments}
        self.bytes = {kind: sum(map(self._own_bytes, tensors)) for kind, tensors in kinds.items()}

    def _own_bytes(self, tensor: torch.Tensor) -> int:
        return int((tensor.to_local() if isinstance(tensor, DTensor) else tensor).nbytes)


def run(
    name: str, train: Train, model: str, work: Path, count: int, log: Log = log_nothing,
    runtime: RuntimeConfig = RUNTIME,
) -> list[int]:  # fmt: skip
    """Train in `count` processes; returns their exit codes."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    children = []
    for rank in range(count):
        if not (pid := os.fork()):
            os.environ |= {
                "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
            }  # fmt: skip
            live(name, train, model, work, log, runtime)
        children.append(pid)
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]


def live(name: str, train: Train, model: str, work: Path, log: Log, runtime: RuntimeConfig) -> None:
    """One process of a run, to its end."""
    code, held = 1, Held()
    try:
        torch.manual_seed(int(os.environ["RANK"]))
        run_folder, ranks = RunFolder(work / name), join_ranks("cpu")
        leader = load_model(model, device="cpu", dtype="float32")
        train(leader, run_folder, runtime, ranks, log)
        result = {
            "weights": dict(leader.model.named_parameters()), "curve": run_folder.curve.rows(),
            "rollouts": run_folder.rollouts.rows(), "held": held.bytes,
        }  # fmt: skip
        torch.save(result, work / f"{name}{'' if ranks.is_main else '-second'}.pt")
        code = 0
    except LostProcessError:
        code = LOST
    except BaseException:  # noqa: BLE001 - this process ends here; it is not to go on as its parent would
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main(model: str, work: Path) -> None:
    torch.set_num_threads(1)
    kinds = {"1": (1, RUNTIME), "2": (2, RUNTIME), "sharded": (2, SHARDED)}
    for train, chosen in ((sft, kinds), (mlpo, kinds), (lora, kinds), (last_layer, ("1", "sharded"))):
        for kind in chosen:
            count, runtime = kinds[kind]
            print(train.__name__, kind, run(f"{train.__name__}-{kind}", train, model, work, count, runtime=runtime))
    for kind, runtime in (("2", RUNTIME), ("sharded", SHARDED)):
        print("stopped", kind, run(f"stopped-{kind}", mlpo, model, work, 2, stop_at(3), runtime))
        shutil.copytree(work / f"stopped-{kind}", work / f"alone-{kind}")
        print("again", kind, run(f"stopped-{kind}", mlpo, model, work, 2, runtime=runtime))
        print("alone", kind, run(f"alone-{kind}", mlpo, model, work, 1))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))

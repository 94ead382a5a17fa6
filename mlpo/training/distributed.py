"""Several processes that train one model: each does its share of a step, and what they found is put together.

Every process sees the whole plan; it takes every n-th prompt, and gradients are summed before the optimizer. Where each
holds all weights, no wrapper around the model does that: a process may have any number of parts in a step, none if no
group of its own carries signal, and a sum needs no equal shares. With one process nothing here is ever called upon.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mlpo.config import ConfigError
from mlpo.training.launch import LOGS, process_log

T = TypeVar("T")

PATIENCE = timedelta(days=1)
"""The others wait for the first while it asks agents. One that ends is seen at once, by the launcher."""
WRAPPERS = ("FSDP", "DEEPSPEED", "MEGATRON_LM")
"""Ways of accelerate's to hold a part of the weights in each process."""
ANY = ("",)
COMMUNICATION = ("gloo", "NCCL")
"""What an error says that comes from a library that processes speak through."""


class LostProcessError(ConnectionError):
    """Another process of this training ended in the middle of it."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """One of `count` processes. The first, rank 0, writes files and speaks; the others are quiet."""

    rank: int = 0
    count: int = 1
    device: torch.device = torch.device("cpu")  # noqa: RUF009 - immutable
    """What travels between the processes lies here: NCCL wants a GPU, gloo a CPU."""

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def share(self, number: int) -> range:
        """Which of `number` things, numbered in a common order, this process does: every `count`-th."""
        return range(self.rank, number, self.count)

    def gather(self, mine: Mapping[int, T]) -> list[T]:
        """What all processes did, in order of its numbers. Every process gets all of it."""
        found: list[Any] = [mine]
        if self.count > 1:
            found = [None] * self.count
            with lost_process():
                dist.all_gather_object(found, dict(mine))
        everything = {number: each for part in found for number, each in part.items()}
        return [everything[number] for number in sorted(everything)]

    def from_main(self, make: Callable[[], T]) -> T:
        """Call `make` in the first process only, and give what it returns to all."""
        if self.count == 1:
            return make()
        box: list[Any] = [make() if self.is_main else None]
        with lost_process():
            dist.broadcast_object_list(box, src=0)
        made: T = box[0]
        return made

    def add(self, value: Tensor) -> Tensor:
        """The sum over all processes, in place."""
        if self.count > 1:
            with lost_process():
                dist.all_reduce(value)
        return value

    def largest(self, number: int) -> int:
        """The largest of all processes' numbers."""
        found = torch.tensor(number, device=self.device)
        if self.count > 1:
            with lost_process():
                dist.all_reduce(found, op=dist.ReduceOp.MAX)
        return int(found)

    def totals(self, values: Mapping[str, float]) -> dict[str, float]:
        """Each value summed over all processes."""
        if self.count == 1:
            return dict(values)
        sums = self.add(torch.tensor(list(values.values()), dtype=torch.float64, device=self.device))
        return dict(zip(values, sums.tolist(), strict=True))

    def add_gradients(self, weights: Iterable[nn.Parameter]) -> None:
        """Sum every weight's gradient over all processes; one that no process has stays None, as in one process."""
        if self.count == 1:
            return
        trained = list(weights)
        known = self.add(torch.tensor([float(w.grad is not None) for w in trained], device=self.device)).tolist()
        with lost_process():
            pending = []
            for weight in (w for w, number in zip(trained, known, strict=True) if number):
                if weight.grad is None:
                    weight.grad = torch.zeros_like(weight)
                pending.append(dist.all_reduce(weight.grad, async_op=True))
            for each in pending:
                each.wait()

    def wait(self) -> None:
        """Until every process is here."""
        if self.count > 1:
            with lost_process():
                dist.barrier()


ALONE = Ranks()
"""The only process."""


def join_ranks(device: str) -> Ranks:
    """Find the other processes, if a launcher such as `accelerate launch` started some, else be alone.

    Args:
        device: as in `runtime.device`; "cuda" then means one GPU for each process.
    Raises:
        ConfigError: the launcher is set up to share the weights out.
    """
    for wrapper in WRAPPERS:
        if os.environ.get(f"ACCELERATE_USE_{wrapper}", "false").lower() == "true":
            raise ConfigError(
                f"accelerate is set up for {wrapper}, which would wrap the leader; set it up for plain data "
                "parallelism, and runtime.shard: true to share weights, gradients and optimizer state out"
            )
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return ALONE
    rank = int(os.environ["RANK"])
    if rank and (folder := os.environ.get(LOGS)):
        _write_into(process_log(Path(folder), rank))
    torch.multiprocessing._prctl_pr_set_pdeathsig(signal.SIGTERM)  # type: ignore[attr-defined] # end with the launcher
    from accelerate import PartialState

    state = PartialState(cpu=device == "cpu" or not torch.cuda.is_available(), timeout=PATIENCE)
    return Ranks(rank, state.num_processes, state.device)


def _write_into(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.close(descriptor)


@contextmanager
def lost_process(saying: Sequence[str] = ANY) -> Iterator[None]:
    """Say in our words that a peer is gone; torch's error is a RuntimeError that names an address.

    Args:
        saying: only an error that says one of these means that.
    Raises:
        LostProcessError: instead of the RuntimeError.
    """
    try:
        yield
    except RuntimeError as error:
        if not any(word in str(error) for word in saying):
            raise
        raise LostProcessError("another process of this training ended, so this one cannot go on") from error

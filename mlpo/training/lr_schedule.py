"""The learning rate over the steps: a rise in which no step is idle, then constant or falling."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import torch
from torch.optim.lr_scheduler import LambdaLR
from transformers import Trainer

Shape = Literal["constant", "linear"]


def rate_factor(done: int, *, warmup_steps: int, total_steps: int, shape: Shape) -> float:
    """The factor of the learning rate in the step after `done` others.

        rise:   (done + 1) / (warmup_steps + 1)
        then:   1, or for "linear" (total_steps - done) / (total_steps - warmup_steps)

    Hugging Face's own rise begins at 0: its first step computes a gradient and throws it away.
    """
    if done < warmup_steps:
        return (done + 1) / (warmup_steps + 1)
    return 1.0 if shape == "constant" else (total_steps - done) / max(1, total_steps - warmup_steps)


class Scheduled(Trainer):
    """A trainer whose learning rate follows `rate_factor`."""

    rate_shape: Shape

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> LambdaLR:
        """Called by Trainer once it knows how many steps there are."""
        factor = partial(
            rate_factor,
            warmup_steps=int(self.args.warmup_steps),
            total_steps=num_training_steps,
            shape=self.rate_shape,
        )
        target = self.optimizer if optimizer is None else optimizer
        assert isinstance(target, torch.optim.Optimizer)
        self.lr_scheduler = LambdaLR(target, factor)
        self._created_lr_scheduler = True
        return self.lr_scheduler

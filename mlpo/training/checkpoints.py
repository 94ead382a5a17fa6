"""Checkpoints for any Hugging Face trainer: only what training changes, whole or not at all, the newest alone kept."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import Trainer
from transformers.trainer import OPTIMIZER_NAME, SCHEDULER_NAME

from mlpo.training.run_folder import CHECKPOINT_PREFIX
from mlpo.training.weights import WholeWeights, trainable_weights

WEIGHTS = "trainable.safetensors"
STATE = "trainer_state.json"


class SmallCheckpoints(Trainer):
    """Trainable weights, optimizer, schedule, random states and position; frozen weights come from the start model.

    Of several processes the first writes what all hold together, and each its own random state: with another number
    of processes a run goes on too, whether they share the weights out or not, and only dropout is drawn anew.
    """

    weights: WholeWeights

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        step = self.state.global_step
        if step >= self.state.max_steps:
            return  # the trained leader is written next
        folder = Path(str(self.args.output_dir))
        scratch, ranks = folder / f"saving-{step}", self.weights.ranks
        if ranks.is_main:
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir(parents=True)
        ranks.wait()
        self._save_rng_state(str(scratch))
        weights, optimizer = self.weights.gathered(trainable_weights(self.model)), self._gathered_optimizer()
        ranks.wait()
        if ranks.is_main:
            self._save_all_else(scratch, weights, optimizer)

    def _gathered_optimizer(self) -> dict[str, Any]:
        assert self.optimizer is not None
        kept: dict[str, Any] = self.optimizer.state_dict()
        return kept | {"state": {place: self.weights.gathered(own) for place, own in kept["state"].items()}}

    def _save_all_else(self, scratch: Path, weights: dict[str, Tensor], optimizer: dict[str, Any]) -> None:
        assert self.lr_scheduler is not None
        folder = scratch.parent
        save_file(weights, scratch / WEIGHTS)
        torch.save(optimizer, scratch / OPTIMIZER_NAME)
        torch.save(self.lr_scheduler.state_dict(), scratch / SCHEDULER_NAME)
        self.state.save_to_json(str(scratch / STATE))
        older = list(folder.glob(f"{CHECKPOINT_PREFIX}*"))
        scratch.rename(folder / f"{CHECKPOINT_PREFIX}{self.state.global_step}")
        for checkpoint in older:
            shutil.rmtree(checkpoint)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        kept = load_file(Path(resume_from_checkpoint) / WEIGHTS)
        weights = trainable_weights(self.model)
        if kept.keys() != weights.keys():
            raise RuntimeError(f"{resume_from_checkpoint} holds other weights than those that are trained now")
        with torch.no_grad():
            for name, weight in weights.items():
                weight.copy_(self.weights.own_part(kept[name], weight))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """Through the CPU: Trainer's own asks torch for a device "cpu:0" where several processes have no GPU."""
        if checkpoint is None:
            return
        assert self.optimizer is not None
        assert self.lr_scheduler is not None
        optimizer, schedule = (
            torch.load(Path(checkpoint) / name, map_location="cpu", weights_only=True)
            for name in (OPTIMIZER_NAME, SCHEDULER_NAME)
        )
        trained = [weight for group in self.optimizer.param_groups for weight in group["params"]]
        for place, own in optimizer["state"].items():
            weight = trained[place]
            for name, value in own.items():
                if value.shape == weight.shape:  # a moment, not a count of steps
                    own[name] = self.weights.own_part(value, weight)
        self.optimizer.load_state_dict(optimizer)
        self.lr_scheduler.load_state_dict(schedule)

    def _send_telemetry(self) -> None:
        """TRL would call the hub here."""

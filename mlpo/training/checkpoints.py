"""Checkpoints for any Hugging Face trainer: only what training changes, whole or not at all, the newest alone kept."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import Trainer
from transformers.trainer import OPTIMIZER_NAME, SCHEDULER_NAME

from mlpo.training.ranks import ALONE, Ranks
from mlpo.training.workspace import CHECKPOINT_PREFIX

WEIGHTS = "trainable.safetensors"
STATE = "trainer_state.json"


class SmallCheckpoints(Trainer):
    """Trainable weights, optimizer, schedule, random states and position; frozen weights come from the start model.

    Of several processes the first writes what all hold, and each its own random state: with another number of
    processes a run goes on too, and only dropout is drawn anew.
    """

    ranks: Ranks = ALONE

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        step = self.state.global_step
        if step >= self.state.max_steps:
            return  # the trained leader is written next
        folder = Path(str(self.args.output_dir))
        scratch = folder / f"saving-{step}"
        if self.ranks.is_main:
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir(parents=True)
        self.ranks.wait()
        self._save_rng_state(str(scratch))
        self.ranks.wait()
        if self.ranks.is_main:
            self._save_all_else(scratch)

    def _save_all_else(self, scratch: Path) -> None:
        folder = scratch.parent
        save_file(dict(trainable_weights(self.model)), scratch / WEIGHTS)
        self._save_optimizer_and_scheduler(str(scratch))
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
                weight.copy_(kept[name])

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """Through the CPU: Trainer's own asks torch for a device "cpu:0" where several processes have no GPU."""
        if checkpoint is None:
            return
        for part, name in ((self.optimizer, OPTIMIZER_NAME), (self.lr_scheduler, SCHEDULER_NAME)):
            assert part is not None
            part.load_state_dict(torch.load(Path(checkpoint) / name, map_location="cpu", weights_only=True))

    def _send_telemetry(self) -> None:
        """TRL would call the hub here."""


def trainable_weights(model: nn.Module | None) -> dict[str, nn.Parameter]:
    """The parameters that training changes, by name; tied ones once."""
    assert model is not None
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}

"""(d) Whole training steps, roll-out and update: MlpoTrainer against TRL's stock GRPOTrainer on the same prompts."""

from __future__ import annotations

import itertools
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from mlpo.config import RuntimeConfig, TrainMlpoConfig
from mlpo.method.rewards import RewardParts
from mlpo.models.chat_template import render
from mlpo.models.load import LoadedModel
from mlpo.training.mlpo import MlpoTrainer
from mlpo.training.prompt_schedule import TrainingPrompt
from mlpo.training.rollouts import Roller
from mlpo.training.run_folder import RunFolder
from mlpo.training.trainer_setup import quiet_libraries
from mlpo.types import Completion, Problem, Sampling
from speed.contender import Work, our_model, random_tokens, synchronise, their_model
from speed.shape import MICRO_BATCH_TOKENS, Shape

TRAIN = True
TEAM_TOKENS = 40
"""What the chat template and the system message add, roughly."""


class StepClock(TrainerCallback):
    """Seconds from the first step's begin to the last one's end: neither construction nor saving counts."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.seconds = 0.0

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self._began = time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        synchronise(self._device)
        self.seconds += time.perf_counter() - self._began


def _every_other(completions: list[str], **_: object) -> list[float | None]:
    """No judgement of the text: every group carries signal, so no side may leave one out."""
    return [float(i % 2) for i in range(len(completions))]


def _prompts(shape: Shape, loaded: LoadedModel) -> list[TrainingPrompt]:
    prompts = []
    for slot in range(shape.prompts):
        text = str(loaded.tokenizer.decode(list(random_tokens(max(8, shape.prompt - TEAM_TOKENS), slot))))
        problem = Problem(f"p{slot}", "bench", "bench", "Whom do you trust?", "", "word")
        prompts.append(TrainingPrompt(problem, (Completion(problem.id, "agent", text, "stop", 0, 0),)))
    return prompts


def prompt_texts(shape: Shape, loaded: LoadedModel) -> list[str]:
    """What the leader reads, rendered, for trainers that tokenise text themselves."""
    tokens = (render(loaded.tokenizer, p.messages) for p in _prompts(shape, loaded))
    return [str(loaded.tokenizer.decode(list(t))) for t in tokens]


def ours(shape: Shape, device: str) -> Work:
    """A fresh trainer a repeat, on the same weights."""
    quiet_libraries()
    loaded = our_model(device, train=True)
    prompts = _prompts(shape, loaded)
    config = TrainMlpoConfig(
        steps=1,
        prompts_per_step=shape.prompts,
        group_size=shape.group,
        max_completion_tokens=shape.completion,
        learning_rate=1e-6,
    )
    gpu = loaded.device.type == "cuda"

    turns = itertools.count()

    def score(*_: object) -> RewardParts:
        return RewardParts(correct=float(next(turns) % 2), well_formed=0.0)

    sampling = Sampling(config.temperature, 1.0, config.max_completion_tokens)

    def once() -> tuple[int, float]:
        with tempfile.TemporaryDirectory() as folder:
            trainer = MlpoTrainer(
                loaded,
                prompts,
                config,
                roller=Roller(shape.group, sampling, 0, score),
                runtime=RuntimeConfig(micro_batch_tokens=MICRO_BATCH_TOKENS),
                run_folder=RunFolder(Path(folder) / "run"),
                on_step=lambda metrics: None,
                compute_dtype=torch.bfloat16 if gpu else torch.float32,
            )
            trainer.args.save_strategy = "no"
            clock = StepClock(loaded.device)
            trainer.add_callback(clock)
            trainer.train()
        return shape.prompts * shape.group * shape.completion, clock.seconds

    return once


def theirs(shape: Shape, device: str) -> Work:
    """The stock trainer, told only what the method says: no reference, no scaling, one update a batch."""
    quiet_libraries()
    loaded = their_model(device, train=True)
    gpu = loaded.device.type == "cuda"
    texts = prompt_texts(shape, loaded)
    rows = shape.micro_batch_rows

    def once() -> tuple[int, float]:
        with tempfile.TemporaryDirectory() as folder:
            trainer = GRPOTrainer(
                model=loaded.model,
                reward_funcs=_every_other,
                args=GRPOConfig(
                    output_dir=folder,
                    max_steps=1,
                    per_device_train_batch_size=rows,
                    gradient_accumulation_steps=shape.prompts * shape.group // rows,
                    num_generations=shape.group,
                    max_completion_length=shape.completion,
                    learning_rate=1e-6,
                    loss_type="dr_grpo",
                    scale_rewards="none",
                    beta=0.0,
                    gradient_checkpointing=False,
                    save_strategy="no",
                    report_to="none",
                    disable_tqdm=True,
                    use_cpu=not gpu,
                    bf16=gpu,
                    dataloader_pin_memory=False,
                ),
                train_dataset=Dataset.from_dict({"prompt": texts}),
                processing_class=loaded.tokenizer,
            )
            clock = StepClock(loaded.device)
            trainer.add_callback(clock)
            trainer.train()
        return shape.prompts * shape.group * shape.completion, clock.seconds

    return once

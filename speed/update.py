"""(a) One update: a packed group against the padded batch of TRL's stock GRPOTrainer, the same completions."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from mlpo.config import TrainMlpoConfig
from mlpo.method.objective import group_advantages
from mlpo.models.generate import Drawn
from mlpo.training.micro_batches import make_parts, part_loss
from mlpo.training.prompt_schedule import TrainingPrompt
from mlpo.training.rollouts import RolloutGroup
from mlpo.types import Problem
from speed.contender import Work, our_model, random_tokens, their_model, timed
from speed.shape import MICRO_BATCH_TOKENS, Shape

TRAIN = True


def _groups(shape: Shape) -> tuple[list[RolloutGroup], torch.Tensor]:
    """Completions of three quarters of C to C tokens, and rewards that differ."""
    problem = Problem("p", "bench", "bench", "", "", "word")
    groups = []
    for slot in range(shape.prompts):
        lengths = [shape.completion - (i % 4) * shape.completion // 16 for i in range(shape.group)]
        drawn = tuple(Drawn(random_tokens(n, 1000 * slot + i), "stop", "") for i, n in enumerate(lengths))
        prompt = random_tokens(shape.prompt, slot)
        groups.append(RolloutGroup(TrainingPrompt(problem), prompt, drawn, (None,) * shape.group))
    return groups, torch.arange(shape.prompts * shape.group).reshape(shape.prompts, -1).float() % 3


def _num_tokens(groups: list[RolloutGroup]) -> int:
    return sum(len(d.token_ids) for g in groups for d in g.drawn)


def ours(shape: Shape, device: str) -> Work:
    """Parts as a training step makes them, and an optimizer step."""
    loaded = our_model(device, train=True)
    groups, rewards_PG = _groups(shape)
    config = TrainMlpoConfig(group_size=shape.group, max_completion_tokens=shape.completion)
    optimizer = torch.optim.AdamW(loaded.model.parameters(), lr=1e-6)
    gpu = loaded.device.type == "cuda"
    loaded.model.train()

    def once() -> int:
        for part in make_parts(groups, rewards_PG, config, MICRO_BATCH_TOKENS, loaded.device):
            with torch.autocast(loaded.device.type, torch.bfloat16, enabled=gpu):
                loss = part_loss(loaded.model, None, part, config).policy.loss
            loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
        return _num_tokens(groups)

    return timed(loaded.device, once)


def theirs(shape: Shape, device: str) -> Work:
    """TRL's own loss on its own batches, micro-batch after micro-batch."""
    loaded = their_model(device, train=True)
    groups, rewards_PG = _groups(shape)
    gpu = loaded.device.type == "cuda"
    arguments = GRPOConfig(
        output_dir=str(Path(tempfile.gettempdir()) / "benchmark"),
        per_device_train_batch_size=shape.group,
        num_generations=shape.group,
        max_completion_length=shape.completion,
        loss_type="dr_grpo",
        scale_rewards="none",
        gradient_checkpointing=False,
        report_to="none",
        use_cpu=not gpu,
        bf16=gpu,
    )
    trainer = GRPOTrainer(
        model=loaded.model,
        reward_funcs=_not_asked,
        args=arguments,
        train_dataset=Dataset.from_dict({"prompt": [""]}),
        processing_class=loaded.tokenizer,
    )
    optimizer = torch.optim.AdamW(loaded.model.parameters(), lr=1e-6)
    batches = _padded(groups, rewards_PG, shape.micro_batch_rows, loaded.device)
    trainer.current_gradient_accumulation_steps = len(batches)
    loaded.model.train()

    def once() -> int:
        for batch in batches:
            with trainer.compute_loss_context_manager():
                loss = trainer.compute_loss(loaded.model, batch)
            trainer.accelerator.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
        return _num_tokens(groups)

    return timed(loaded.device, once)


def _not_asked(**_: object) -> list[float | None]:
    raise AssertionError("the advantages are given")


def _padded(
    groups: list[RolloutGroup], rewards_PG: torch.Tensor, num_rows: int, device: torch.device
) -> list[dict[str, torch.Tensor]]:
    """What TRL's `_generate_and_score_completions` returns, cut into micro-batches."""
    advantages = group_advantages(rewards_PG).flatten()
    rows = [(g.prompt_tokens, d.token_ids) for g in groups for d in g.drawn]
    pad = torch.nn.utils.rnn.pad_sequence
    batches = []
    for first in range(0, len(rows), num_rows):
        some = rows[first : first + num_rows]
        prompts = torch.tensor([p for p, _ in some])
        completions = [torch.tensor(c) for _, c in some]
        batch = {
            "prompt_ids": prompts,
            "prompt_mask": torch.ones_like(prompts),
            "completion_ids": pad(completions, batch_first=True),
            "completion_mask": pad([torch.ones_like(c) for c in completions], batch_first=True),
            "advantages": advantages[first : first + num_rows],
        }
        batches.append({name: value.to(device) for name, value in batch.items()})
    return batches

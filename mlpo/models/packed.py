"""A group in one row: [prompt][y_1]..[y_G], each completion seeing the prompt and itself.

The prompt is computed once instead of G times: P + G*C tokens, not G*(P + C), with the same log-probabilities and
gradients to rounding. Logits are computed only where a completion token is predicted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedModel

from mlpo.models.attention import layer_masks
from mlpo.models.lm_head import predictions_at


@dataclass(frozen=True, slots=True)
class Group:
    """The completions of one prompt, as token ids. Several parts of one group may be packed apart."""

    prompt: tuple[int, ...]
    completions: tuple[tuple[int, ...], ...]

    @property
    def num_tokens(self) -> int:
        """Tokens of the packed row."""
        return len(self.prompt) + sum(map(len, self.completions))


@dataclass(frozen=True, slots=True)
class PackedBatch:
    """Several groups, one a row, that go through the model together."""

    groups: tuple[Group, ...]
    index: tuple[tuple[int, int], ...]
    """(position of the group in what was packed, completion inside it) of every completion, row by row."""


class BatchLogprobs(NamedTuple):
    """What the objective needs of one packed batch; N completions, T the longest of them."""

    logprobs_NT: Tensor
    """log pi(token), with gradient; 0 where the mask is False."""
    mask_NT: Tensor
    """True at a completion's own tokens."""
    entropy_NT: Tensor
    """Entropy of the distribution each token was drawn from, in nats, detached; 0 where the mask is False."""


def pack(groups: Sequence[Group], max_tokens: int) -> list[PackedBatch]:
    """Put groups of like length into batches of at most `max_tokens` tokens, padding counted.

    Raises:
        ValueError: a group is larger than the budget, or holds no completion, or an empty one.
    """
    order = sorted(range(len(groups)), key=lambda i: (-groups[i].num_tokens, i))
    batches: list[list[int]] = []
    for i in order:
        group = groups[i]
        if not group.completions or not all(group.completions) or not group.prompt:
            raise ValueError(f"group {i} holds an empty prompt or completion; leave it out before packing")
        if group.num_tokens > max_tokens:
            raise ValueError(
                f"a group of {group.num_tokens} tokens does not fit runtime.micro_batch_tokens = {max_tokens}; "
                f"raise it to {group.num_tokens} or lower train_mlpo.group_size"
            )
        if batches and groups[batches[-1][0]].num_tokens * (len(batches[-1]) + 1) <= max_tokens:
            batches[-1].append(i)
        else:
            batches.append([i])
    return [
        PackedBatch(
            tuple(groups[i] for i in rows), tuple((i, k) for i in rows for k in range(len(groups[i].completions)))
        )
        for rows in batches
    ]


def packed_logprobs(model: PreTrainedModel, batch: PackedBatch, *, temperature: float = 1.0) -> BatchLogprobs:
    """Log-probability of every completion token under the model at a sampling temperature."""
    device = model.device
    plan = _plan(batch)
    tokens, owner, positions = (t.to(device) for t in (plan.tokens, plan.owner, plan.positions))
    # A query sees an earlier key of the prompt (owner 0) or of its own completion. Padding (-1) sees itself alone.
    earlier = torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool, device=device).tril()
    same = owner[:, :, None] == owner[:, None, :]
    sees = earlier & (same | (owner[:, None, :] == 0) & (owner[:, :, None] > 0))
    masks: Any = layer_masks(model.config, sees, positions, positions)
    logits = predictions_at(
        model, plan.rows.to(device), plan.columns.to(device),
        input_ids=tokens, attention_mask=masks, position_ids=positions, use_cache=False,
    ) / temperature  # fmt: skip
    normaliser = logits.logsumexp(-1)
    logprobs = logits.gather(-1, plan.targets.to(device)[:, None])[:, 0] - normaliser
    with torch.no_grad():
        entropy = normaliser - (logits.softmax(-1) * logits).sum(-1)
    mask = plan.mask.to(device)
    blank = torch.zeros(mask.shape, dtype=logprobs.dtype, device=device)
    return BatchLogprobs(blank.masked_scatter(mask, logprobs), mask, blank.masked_scatter(mask, entropy))


class _Plan(NamedTuple):
    tokens: Tensor
    """[rows, L]"""
    owner: Tensor
    """[rows, L]: 0 prompt, 1..G the completion, -1 padding."""
    positions: Tensor
    """[rows, L]: every completion goes on where the prompt ended."""
    rows: Tensor
    columns: Tensor
    targets: Tensor
    """[predictions]: where each completion token is predicted, and which it is; completion by completion."""
    mask: Tensor
    """[N, T]"""


def _plan(batch: PackedBatch) -> _Plan:
    length = max(g.num_tokens for g in batch.groups)
    num_rows = len(batch.groups)
    tokens = torch.zeros(num_rows, length, dtype=torch.long)
    owner = torch.full((num_rows, length), -1)
    positions = torch.zeros(num_rows, length, dtype=torch.long)
    rows: list[int] = []
    columns: list[int] = []
    targets: list[int] = []
    for row, group in enumerate(batch.groups):
        start = len(group.prompt)
        tokens[row, :start] = torch.tensor(group.prompt)
        owner[row, :start] = 0
        positions[row, :start] = torch.arange(start)
        for k, completion in enumerate(group.completions, start=1):
            end = start + len(completion)
            tokens[row, start:end] = torch.tensor(completion)
            owner[row, start:end] = k
            positions[row, start:end] = torch.arange(len(completion)) + len(group.prompt)
            rows += [row] * len(completion)
            columns += [len(group.prompt) - 1, *range(start, end - 1)]
            targets += completion
            start = end
    lengths = [len(c) for g in batch.groups for c in g.completions]
    mask = torch.arange(max(lengths, default=0))[None, :] < _whole_numbers(lengths)[:, None]
    return _Plan(tokens, owner, positions, _whole_numbers(rows), _whole_numbers(columns), _whole_numbers(targets), mask)


def _whole_numbers(values: Sequence[int]) -> Tensor:
    return torch.tensor(values, dtype=torch.long)  # said, as an empty one would be float

"""What is learned from a batch of roll-outs: the groups with signal, packed into parts whose losses add up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedModel

from mlpo.config import ConfigError, TrainMlpoConfig
from mlpo.method.objective import PolicyLoss, carries_signal, group_advantages, policy_loss
from mlpo.models.generate import Drawn
from mlpo.models.packed import Group, PackedBatch, pack, packed_logprobs
from mlpo.training.rollouts import RolloutGroup


@dataclass
class Part:
    """What goes through the model at once: some groups of a batch."""

    batch: PackedBatch
    advantages: Tensor
    """[N]"""
    num_completions: int
    """Of the whole batch, groups without signal included."""
    old_logprobs: Tensor | None = None
    """[N, T] log pi_old. In the first update on a batch it is log pi itself, so no pass of its own is spent on it."""
    reference_logprobs: Tensor | None = None
    """[N, T] log pi_ref, kept for the next update too."""
    sampled_logprobs: Tensor | None = None
    """[N, T] log pi as an engine says that drew the completions, for comparison alone; None from our own sampler."""

    @property
    def num_tokens(self) -> int:
        """Tokens that go through the model."""
        return sum(g.num_tokens for g in self.batch.groups)


def idle_part(device: torch.device) -> Part:
    """A part of one token and no completion: it passes through the model and adds nothing to loss or gradient.

    What a process computes that has nothing left to learn from while others gather weights from it.
    """
    return Part(PackedBatch((Group((0,), ()),), ()), torch.zeros(0, device=device), 1)


class PartLoss(NamedTuple):
    """One part's share of the loss, and its sum of token entropies."""

    policy: PolicyLoss
    entropy_sum: Tensor
    differences: Tensor | None
    """[tokens] |log pi by the engine - by the trainer|, where both are of the same weights: in the first update."""


def make_parts(
    groups: Sequence[RolloutGroup], rewards_PG: Tensor, config: TrainMlpoConfig, max_tokens: int, device: torch.device,
    *, slots: Iterable[int] | None = None,
) -> list[Part]:  # fmt: skip
    """Pack the completions that have a reward, of the groups that carry signal.

    Args:
        rewards_PG: NaN where the reward raised.
        max_tokens: budget of one part; a group that is larger is cut between completions.
        slots: the groups that are learned from here; None is all. The others count in the loss's denominator.
    """
    advantages_PG = group_advantages(rewards_PG, scale=config.scale_rewards)
    signal_P = carries_signal(rewards_PG)
    pieces: list[Group] = []
    members: list[list[tuple[int, int]]] = []
    for slot in range(len(groups)) if slots is None else slots:
        if not signal_P[slot]:
            continue
        group = groups[slot]
        rewarded = [i for i in range(len(group.drawn)) if not rewards_PG[slot, i].isnan()]
        for some in _pieces(group, rewarded, max_tokens):
            pieces.append(Group(group.prompt_tokens, tuple(group.drawn[i].token_ids for i in some)))
            members.append([(slot, i) for i in some])
    parts = []
    for batch in pack(pieces, max_tokens):
        where = [members[piece][k] for piece, k in batch.index]
        advantages = torch.stack([advantages_PG[slot, i] for slot, i in where]).to(device)
        sampled = _sampled_logprobs([groups[slot].drawn[i] for slot, i in where])
        sampled = sampled if sampled is None else sampled.to(device)
        parts.append(Part(batch, advantages, rewards_PG.numel(), sampled_logprobs=sampled))
    return parts


def _sampled_logprobs(drawn: Sequence[Drawn]) -> Tensor | None:
    """[N, T], padded with zeros; None if one has none."""
    rows = [torch.tensor(d.logprobs) for d in drawn if d.logprobs is not None]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True) if len(rows) == len(drawn) else None


def _pieces(group: RolloutGroup, indices: Sequence[int], max_tokens: int) -> Iterator[list[int]]:
    """Indices in order, cut where the prompt and its completions would pass the budget."""
    piece: list[int] = []
    used = len(group.prompt_tokens)
    for index in indices:
        length = len(group.drawn[index].token_ids)
        if piece and used + length > max_tokens:
            yield piece
            piece, used = [], len(group.prompt_tokens)
        piece.append(index)
        used += length
    if piece:
        yield piece


def part_loss(
    model: PreTrainedModel, reference: PreTrainedModel | None, part: Part, config: TrainMlpoConfig
) -> PartLoss:
    """The objective on one part. Remembers pi_old and pi_ref in the part, for the next update on the same batch."""
    found = packed_logprobs(model, part.batch, temperature=config.temperature)
    differences = None
    if part.old_logprobs is None:
        part.old_logprobs = found.logprobs_NT.detach()
        if part.sampled_logprobs is not None:
            differences = (part.sampled_logprobs - part.old_logprobs).abs()[found.mask_NT]
    if reference is not None and part.reference_logprobs is None:
        with torch.no_grad():
            part.reference_logprobs = packed_logprobs(reference, part.batch, temperature=config.temperature).logprobs_NT
    loss = policy_loss(
        found.logprobs_NT,
        part.old_logprobs,
        part.advantages,
        found.mask_NT,
        num_completions=part.num_completions,
        max_completion_tokens=config.max_completion_tokens,
        loss_type=config.loss_type,
        epsilon_low=config.epsilon_low,
        epsilon_high=config.epsilon_high,
        beta=config.beta,
        reference_logprobs_NT=part.reference_logprobs,
    )
    return PartLoss(loss, found.entropy_NT.sum(), differences)


def check_prompt_lengths(
    lengths: Sequence[int], config: TrainMlpoConfig, max_tokens: int, max_context: int, *, batch_tokens: int
) -> None:
    """Refuse prompts before the run that would fail in its middle.

    Raises:
        ConfigError: prompt and completion together pass the model's context, the budget of a part, or vLLM's keys.
    """
    longest = max(lengths, default=0) + config.max_completion_tokens
    limits = [
        (max_context, "the leader's context; lower train_mlpo.max_completion_tokens or shorten the proposals"),
        (max_tokens, f"runtime.micro_batch_tokens; raise it to at least {longest}"),
    ]
    if config.rollout_engine == "vllm":  # our own sampler makes a larger batch of what is too long for one
        limits.append((batch_tokens, f"runtime.batch_tokens, for which vLLM has keys; raise it to at least {longest}"))
    for limit, mend in limits:
        over = sum(length + config.max_completion_tokens > limit for length in lengths)
        if over:
            raise ConfigError(
                f"train_mlpo: {over} of {len(lengths)} prompts with {config.max_completion_tokens} completion tokens "
                f"pass {limit} tokens (the longest has {longest}), {mend}"
            )

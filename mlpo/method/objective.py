"""The MLPO objective as tensors: group advantages, the clipped policy loss, and the k3 distance to a reference.

Shapes: P prompts, G completions of one prompt, N completions of any prompts, T tokens of the longest completion.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

LossType = Literal["dr_grpo", "grpo"]

SCALE_EPSILON = 1e-4
"""Added to a group's standard deviation, as TRL does."""


class PolicyLoss(NamedTuple):
    """The loss of a batch, or of a part of it, with the detached sums its metrics are made of."""

    loss: Tensor
    num_tokens: Tensor
    num_clipped: Tensor
    """Tokens whose ratio the clip held back: they got no policy gradient."""
    kl_sum: Tensor
    """Sum of k3 over the tokens; 0 without a reference."""


def carries_signal(rewards_PG: Tensor) -> Tensor:
    """Which groups hold two different rewards; all other groups have no advantage and are left out of the update.

    Args:
        rewards_PG: [prompts, group]; NaN marks a completion whose reward could not be computed.
    Returns:
        [prompts], bool.
    """
    known = ~rewards_PG.isnan()
    highest = rewards_PG.masked_fill(~known, -torch.inf).amax(-1)
    lowest = rewards_PG.masked_fill(~known, torch.inf).amin(-1)
    return known.any(-1) & (highest > lowest)


def group_advantages(rewards_PG: Tensor, *, scale: bool = False) -> Tensor:
    """Centre rewards inside each group: A = r - mean(r), divided by std(r) + 1e-4 if `scale`.

    GRPO, arXiv:2402.03300, section 4.1.2; `scale=False` is Dr. GRPO, arXiv:2503.20783. The standard deviation is the
    sample's (divided by G - 1), as in TRL.

    Args:
        rewards_PG: [prompts, group]; NaN marks a completion whose reward could not be computed: it is no part of its
            group's mean and gets advantage 0.
    Returns:
        [prompts, group]; each row sums to 0; equal rewards give exact zeros.
    Raises:
        ValueError: not two-dimensional, or fewer than two completions per group.
    """
    if rewards_PG.dim() != 2 or rewards_PG.shape[1] < 2:
        raise ValueError(f"rewards must be [prompts, group] with group >= 2, got {list(rewards_PG.shape)}")
    known = ~rewards_PG.isnan() & carries_signal(rewards_PG)[:, None]
    count = known.sum(-1, keepdim=True).clamp(min=1)
    mean = rewards_PG.masked_fill(~known, 0).sum(-1, keepdim=True) / count
    centred = (rewards_PG - mean).masked_fill(~known, 0)
    if not scale:
        return centred
    variance = centred.square().sum(-1, keepdim=True) / (count - 1).clamp(min=1)
    return centred / (variance.sqrt() + SCALE_EPSILON)


def k3_kl(logprobs: Tensor, reference_logprobs: Tensor) -> Tensor:
    """Per token: k3 = pi_ref/pi - log(pi_ref/pi) - 1, never negative, unbiased for KL(pi || pi_ref) under pi.

    Schulman, "Approximating KL divergence" (2020); GRPO, arXiv:2402.03300, eq. 4.
    """
    log_ratio = reference_logprobs - logprobs
    return log_ratio.exp() - log_ratio - 1


def policy_loss(
    logprobs_NT: Tensor,
    old_logprobs_NT: Tensor,
    advantages_N: Tensor,
    mask_NT: Tensor,
    *,
    num_completions: int,
    max_completion_tokens: int,
    loss_type: LossType = "dr_grpo",
    epsilon_low: float = 0.2,
    epsilon_high: float = 0.2,
    beta: float = 0.0,
    reference_logprobs_NT: Tensor | None = None,
) -> PolicyLoss:
    """The clipped objective, summed over these completions and divided by the constants of the whole batch.

        rho = pi / pi_old
        l   = -min(rho A, clip(rho, 1 - eps_low, 1 + eps_high) A) + beta k3
        dr_grpo (arXiv:2503.20783):  loss = sum_i sum_t l_it / (num_completions * max_completion_tokens)
        grpo    (arXiv:2402.03300):  loss = sum_i (sum_t l_it / |y_i|) / num_completions

    Every divisor is a constant of the batch or of the completion itself, so the losses of the parts of a batch add up
    to the loss of the whole, and so do their gradients.

    Args:
        logprobs_NT: [N, T] log pi, with gradient. old_logprobs_NT: the same under the policy that sampled.
        advantages_N: [N].
        mask_NT: [N, T] bool, True at a completion's own tokens; a row without True adds nothing.
        num_completions: completions in the whole batch, those of groups without signal counted too: leaving such a
            group out then changes neither loss nor gradient (at beta 0).
        reference_logprobs_NT: [N, T], needed where beta > 0.
    Raises:
        ValueError: shapes that do not fit together, or beta > 0 without a reference.
    """
    _check(logprobs_NT, old_logprobs_NT, advantages_N, mask_NT)
    if beta > 0 and reference_logprobs_NT is None:
        raise ValueError("beta > 0 needs reference_logprobs_NT")
    new = logprobs_NT.masked_fill(~mask_NT, 0)
    ratio = (new - old_logprobs_NT.detach().masked_fill(~mask_NT, 0)).exp()
    advantages = advantages_N[:, None]
    free = ratio * advantages
    held = ratio.clamp(1 - epsilon_low, 1 + epsilon_high) * advantages
    per_token = -torch.minimum(free, held)
    kl_sum = logprobs_NT.new_zeros(())
    if beta > 0 and reference_logprobs_NT is not None:
        kl = k3_kl(new, reference_logprobs_NT.detach().masked_fill(~mask_NT, 0))
        per_token = per_token + beta * kl
        kl_sum = kl.detach().masked_fill(~mask_NT, 0).sum()
    sums = per_token.masked_fill(~mask_NT, 0).sum(-1)
    divisor = mask_NT.sum(-1).clamp(min=1) if loss_type == "grpo" else max_completion_tokens
    clipped = (held < free) & mask_NT
    return PolicyLoss((sums / divisor).sum() / num_completions, mask_NT.sum(), clipped.sum(), kl_sum)


def _check(logprobs_NT: Tensor, old_logprobs_NT: Tensor, advantages_N: Tensor, mask_NT: Tensor) -> None:
    shape = logprobs_NT.shape
    if len(shape) != 2 or old_logprobs_NT.shape != shape or mask_NT.shape != shape or advantages_N.shape != shape[:1]:
        shapes = [list(t.shape) for t in (logprobs_NT, old_logprobs_NT, advantages_N, mask_NT)]
        raise ValueError(f"expected [N, T], [N, T], [N], [N, T]; got {', '.join(map(str, shapes))}")
    if mask_NT.dtype != torch.bool:
        raise ValueError(f"the mask must be bool, got {mask_NT.dtype}")

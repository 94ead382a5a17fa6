"""From logits to tokens: greedy, or the inverse of the cumulative distribution at a uniform number."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mlpo.types import Sampling

NUCLEUS_CANDIDATES = 512
"""Tokens ranked before a full sort is needed to find the nucleus."""


def choose_tokens(logits: Tensor, samplings: Sequence[Sampling], uniforms: Tensor) -> list[int]:
    """One token a row by inverse-CDF sampling: the smallest token whose cumulative probability exceeds u.

    Args:
        logits: [rows, V].
        samplings: one per row; temperature 0 takes the most likely token; top_p keeps the smallest set of most likely
            tokens whose mass reaches it (nucleus sampling, arXiv:1904.09751).
        uniforms: [rows] in [0, 1), float64.
    """
    device = logits.device
    temperature = torch.tensor([s.temperature or 1.0 for s in samplings], device=device)
    probs = torch.softmax(logits.float() / temperature[:, None], -1)
    chosen = torch.empty(len(samplings), dtype=torch.long, device=device)
    top_p = torch.tensor([s.top_p for s in samplings], device=device, dtype=torch.float64)
    greedy = torch.tensor([s.temperature == 0 for s in samplings], device=device)
    whole = ~greedy & (top_p >= 1)
    nucleus = ~greedy & (top_p < 1)
    if greedy.any():
        chosen[greedy] = logits[greedy].argmax(-1)
    if whole.any():
        chosen[whole] = _inverse_cdf(probs[whole].double().cumsum(-1), uniforms[whole])
    if nucleus.any():
        chosen[nucleus] = _nucleus(probs[nucleus], top_p[nucleus], uniforms[nucleus])
    return [int(t) for t in chosen.tolist()]


def entropies_of(logits: Tensor) -> list[float]:
    """H = -sum over V of p log p of each row's softmax, nats: [rows, V] -> [rows]."""
    logprobs = torch.log_softmax(logits, -1)
    entropies: list[float] = (logprobs.exp() * logprobs).sum(-1).neg().tolist()
    return entropies


def _inverse_cdf(cumulative: Tensor, uniforms: Tensor) -> Tensor:
    """[rows, n] cumulative weights, [rows] in [0, 1) -> [rows] indices."""
    thresholds = (uniforms * cumulative[:, -1])[:, None]
    return torch.searchsorted(cumulative, thresholds, right=True)[:, 0].clamp(max=cumulative.shape[1] - 1)


def _nucleus(probs: Tensor, top_p: Tensor, uniforms: Tensor) -> Tensor:
    ranked, tokens = probs.topk(min(NUCLEUS_CANDIDATES, probs.shape[-1]), -1)
    if (ranked.double().sum(-1) < top_p).any():
        ranked, tokens = probs.sort(-1, descending=True)
    cumulative = ranked.double().cumsum(-1)
    size = (cumulative < top_p[:, None]).sum(-1, keepdim=True).clamp(max=cumulative.shape[1] - 1)
    mass = cumulative.gather(-1, size)
    place = torch.searchsorted(cumulative, uniforms[:, None] * mass, right=True)
    return tokens.gather(-1, torch.minimum(place, size))[:, 0]

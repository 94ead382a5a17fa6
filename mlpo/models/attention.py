"""Grouped-query attention without copied keys: a group's query heads are folded into the query axis, keys read once.

Transformers repeats every key and value head before calling SDPA with a mask. With grouped-query attention
(arXiv:2305.13245) the same product is had by moving the group into the rows of the query, at no copy. In the same way
the rows of a batch that share a prompt are moved there, so its keys are held and read once for all of them.
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

from mlpo.config import ConfigError

GROUPED_ATTENTION = "mlpo_grouped"
BIAS_ALIGNMENT = 8
"""Rows of a bias begin at multiples of so many values; CUDA's kernel copies one that does not, in every layer."""
_BIASES: MutableMapping[Tensor, Tensor] = WeakTensorKeyDictionary()
"""A pass's mask -> its bias, as long as the mask lives."""


class SharedKeys(NamedTuple):
    """Keys and values of n prompts, each seen by one or more of a batch's R rows and held once."""

    keys: Sequence[Tensor]
    values: Sequence[Tensor]
    """Per layer [n, key heads, K, width]."""
    members: Tensor
    """[n, most]: the rows that see each prompt, padded with any row."""
    places: Tensor
    """[R]: where each row stands in `members`, flattened."""

    def gather(self, rows: Tensor) -> Tensor:
        """[R, heads, q, x] -> [n, heads, most * q, x]: the members of a prompt one after another."""
        n, most = self.members.shape
        _, heads, queries, last = rows.shape
        stacked = rows[self.members.flatten()].reshape(n, most, heads, queries, last)
        return stacked.transpose(1, 2).reshape(n, heads, most * queries, last)

    def scatter(self, stacked: Tensor, queries: int) -> Tensor:
        """The inverse of `gather`."""
        n, most = self.members.shape
        _, heads, _, last = stacked.shape
        rows = stacked.reshape(n, heads, most, queries, last).transpose(1, 2)
        return rows.reshape(n * most, heads, queries, last)[self.places]


def grouped_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    shared_keys: Sequence[SharedKeys] = (),
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """softmax(q k^T scale + mask) v; with `softcap` the scores are softcap tanh(q k^T scale / softcap).

    Args:
        query: [batch, heads, queries, width].
        key, value: [batch, key heads, keys, width]; key heads divides heads.
        attention_mask: [batch or 1, 1, queries, keys], boolean (True: sees) or additive; None is causal.
        shared_keys: more keys, which stand before the row's own; needs a boolean mask over all of them.
        softcap: Gemma 2's bound on scores (arXiv:2408.00118, section 2); needs a boolean mask or none.
        s_aux: attention sinks, which are not computed here.
    Returns:
        [batch, queries, heads, width] and no weights.
    Raises:
        ConfigError: the model has attention sinks.
    """
    if s_aux is not None:
        raise ConfigError(
            "the model's attention has sinks, which prompts that are read once do not compute; "
            "name another model, or answer with this one behind a `server`"
        )
    batch, heads, queries, width = query.shape
    key_heads = key.shape[1]
    group = heads // key_heads
    if attention_mask is None and softcap is not None:
        attention_mask = torch.ones(1, 1, queries, key.shape[2], dtype=torch.bool, device=query.device).tril()
    if attention_mask is None:
        causal = bool(getattr(module, "is_causal", True) if is_causal is None else is_causal) and queries > 1
        if causal and queries != key.shape[2]:
            raise AssertionError("a causal pass over a cache needs an explicit mask")
        out = torch.nn.functional.scaled_dot_product_attention(
            query, key, value, dropout_p=dropout, scale=scaling, is_causal=causal, enable_gqa=group > 1
        )
        return out.transpose(1, 2).contiguous(), None
    folded = query.reshape(batch, key_heads, group * queries, width)
    if shared_keys or softcap is not None:
        layer: Any = module.layer_idx
        scores = _Scores(scaling or width**-0.5, softcap, dropout)
        mask = attention_mask if queries == 1 else attention_mask.repeat(1, 1, group, 1)
        out = _attend_stepwise(folded, key, value, mask, shared_keys, layer, scores)
    else:
        mask = attention_mask if queries == 1 else _bias_of_pass(attention_mask, group, query)
        out = torch.nn.functional.scaled_dot_product_attention(
            folded, key, value, attn_mask=mask, dropout_p=dropout, scale=scaling
        )
    return out.reshape(batch, heads, queries, width).transpose(1, 2).contiguous(), None


def _bias_of_pass(mask: Tensor, group: int, query: Tensor) -> Tensor:
    """What is added to scores, [batch or 1, 1, group * queries, keys]: one tensor for all layers that share `mask`.

    SDPA makes one of a boolean mask by itself, but in every layer, and keeps each for the backward pass.
    """
    device = query.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else query.dtype
    bias = _BIASES.get(mask)
    if bias is None or bias.dtype != dtype or bias.shape[2] != group * mask.shape[2]:
        rows, _, queries, keys = mask.shape
        aligned = -(-keys // BIAS_ALIGNMENT) * BIAS_ALIGNMENT
        bias = torch.zeros(rows, 1, group * queries, aligned, dtype=dtype, device=mask.device)[..., :keys]
        repeated = mask.repeat(1, 1, group, 1)
        _BIASES[mask] = bias.masked_fill_(~repeated, float("-inf")) if mask.dtype == torch.bool else bias.add_(repeated)
    return _BIASES[mask]


class _Scores(NamedTuple):
    """How products of queries and keys become weights."""

    scale: float
    softcap: float | None
    dropout: float


def _attend_stepwise(
    query: Tensor, key: Tensor, value: Tensor, sees: Tensor, shared: Sequence[SharedKeys], layer: int, how: _Scores
) -> Tensor:
    """One softmax over shared keys and a row's own; a shared prompt's products take all its rows at once.

    The decomposition is Hydragen's (arXiv:2402.05099). No fused kernel knows of it, nor of a softcap.

    Args:
        query: [rows, heads, queries, width]; key, value: [rows, heads, keys, width]; sees: boolean, broadcastable.
    """
    queries = query.shape[2]
    query = query * how.scale
    scores = [s.scatter(s.gather(query) @ s.keys[layer].transpose(-1, -2), queries) for s in shared]
    scores.append(query @ key.transpose(-1, -2))
    joint = torch.cat(scores, -1)
    if how.softcap is not None:
        joint = torch.tanh(joint / how.softcap) * how.softcap
    weights = torch.softmax(joint.masked_fill_(~sees, float("-inf")), -1, dtype=torch.float32).to(query.dtype)
    weights = torch.nn.functional.dropout(weights, how.dropout)
    *to_shared, to_own = torch.split(weights, [s.shape[-1] for s in scores], -1)
    out: Tensor = to_own @ value
    for s, part in zip(shared, to_shared, strict=True):
        out += s.scatter(s.gather(part) @ s.values[layer], queries)
    return out


AttentionInterface.register(GROUPED_ATTENTION, grouped_attention)
AttentionMaskInterface.register(GROUPED_ATTENTION, sdpa_mask)


def layer_masks(config: Any, sees: Tensor, positions: Tensor, key_positions: Tensor) -> Tensor | dict[str, Tensor]:
    """The mask in the form a model's forward takes: one tensor, or one per layer type where some layers slide.

    Args:
        sees: [batch, queries, keys], True where a query may look.
        positions: [batch, queries] and key_positions: [batch, keys], for the width of the sliding window.
    """
    text = config.get_text_config()
    full = sees[:, None]
    kinds = set(getattr(text, "layer_types", None) or ())
    if kinds - {"full_attention", "sliding_attention"}:
        raise ValueError(f"layers of kind {sorted(kinds)} cannot share a prompt; only full and sliding attention can")
    window = getattr(text, "sliding_window", None)
    if not window or kinds == {"full_attention"}:
        return full
    near = positions[:, :, None] - key_positions[:, None, :] < window
    sliding = full & near[:, None]
    return {"full_attention": full, "sliding_attention": sliding} if kinds else sliding  # no kinds: every layer slides

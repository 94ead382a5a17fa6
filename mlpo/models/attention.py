"""Attention for any transformers decoder that never copies keys: query heads of a group stand in the query dimension.

Transformers repeats every key and value head before calling SDPA with a mask. With grouped-query attention
(arXiv:2305.13245) the same product is had by moving the group into the rows of the query, at no copy.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

GROUPED_ATTENTION = "mlpo_grouped"


class SharedPrefix(NamedTuple):
    """Keys and values of a prefix that every row goes on from, kept once: per layer [1, key heads, P, width]."""

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]

    @property
    def length(self) -> int:
        """Tokens of the prefix."""
        return self.keys[0].shape[2]


def grouped_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    shared_prefix: SharedPrefix | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """softmax(q k^T scale + mask) v.

    Args:
        query: [batch, heads, queries, width].
        key, value: [batch, key heads, keys, width]; key heads divides heads.
        attention_mask: [batch or 1, 1, queries, keys], boolean (True: sees) or additive; None is causal.
        shared_prefix: more keys, seen by every query of every row; needs a boolean mask.
    Returns:
        [batch, queries, heads, width] and no weights.
    """
    batch, heads, queries, width = query.shape
    key_heads = key.shape[1]
    group = heads // key_heads
    if attention_mask is None:
        causal = bool(getattr(module, "is_causal", True) if is_causal is None else is_causal) and queries > 1
        if causal and queries != key.shape[2]:
            raise AssertionError("a causal pass over a cache needs an explicit mask")
        out = torch.nn.functional.scaled_dot_product_attention(
            query, key, value, dropout_p=dropout, scale=scaling, is_causal=causal, enable_gqa=group > 1
        )
        return out.transpose(1, 2).contiguous(), None
    folded = query.reshape(batch, key_heads, group * queries, width)
    mask = attention_mask if queries == 1 else attention_mask.repeat(1, 1, group, 1)
    if shared_prefix is not None:
        layer: Any = module.layer_idx
        prefix = shared_prefix.keys[layer][0], shared_prefix.values[layer][0]
        joint = _attend_with_prefix(folded, key, value, mask, *prefix, scaling or width**-0.5)
        return joint.reshape(batch, heads, queries, width).transpose(1, 2).contiguous(), None
    out = torch.nn.functional.scaled_dot_product_attention(
        folded, key, value, attn_mask=mask, dropout_p=dropout, scale=scaling
    )
    return out.reshape(batch, heads, queries, width).transpose(1, 2).contiguous(), None


def _attend_with_prefix(
    query: Tensor, key: Tensor, value: Tensor, sees: Tensor, prefix_key: Tensor, prefix_value: Tensor, scale: float
) -> Tensor:
    """One softmax over a shared prefix and a row's own keys; the prefix's products take all rows at once.

    The decomposition is Hydragen's (arXiv:2402.05099).

    Args:
        query: [batch, heads, queries, width]; key, value: [batch, heads, keys, width]; sees: boolean, broadcastable.
        prefix_key, prefix_value: [heads, P, width].
    """
    batch, heads, queries, width = query.shape
    everyone = query.transpose(0, 1).reshape(heads, batch * queries, width)
    prefix_scores = (everyone @ prefix_key.transpose(-1, -2)).reshape(heads, batch, queries, -1).transpose(0, 1)
    own_scores = (query @ key.transpose(-1, -2)).masked_fill_(~sees, float("-inf"))
    weights = torch.softmax(torch.cat([prefix_scores, own_scores], -1) * scale, -1, dtype=torch.float32).to(query.dtype)
    length = prefix_key.shape[1]
    to_prefix = weights[..., :length].transpose(0, 1).reshape(heads, batch * queries, length)
    from_prefix = (to_prefix @ prefix_value).reshape(heads, batch, queries, width).transpose(0, 1)
    return from_prefix + weights[..., length:] @ value


AttentionInterface.register(GROUPED_ATTENTION, grouped_attention)
AttentionMaskInterface.register(GROUPED_ATTENTION, sdpa_mask)


def slides(config: Any) -> bool:
    """Whether some layers of the model look back over a window only."""
    return "sliding_attention" in (getattr(config.get_text_config(), "layer_types", None) or ())


def layer_masks(config: Any, sees: Tensor, positions: Tensor, key_positions: Tensor) -> Tensor | dict[str, Tensor]:
    """The mask in the form a model's forward takes: one tensor, or one per layer type where some layers slide.

    Args:
        sees: [batch, queries, keys], True where a query may look.
        positions: [batch, queries] and key_positions: [batch, keys], for the width of the sliding window.
    """
    text = config.get_text_config()
    full = sees[:, None]
    kinds = set(getattr(text, "layer_types", None) or ())
    if not kinds - {"full_attention"}:
        return full
    if kinds - {"full_attention", "sliding_attention"}:
        raise ValueError(f"layers of kind {sorted(kinds)} cannot share a prompt; only full and sliding attention can")
    near = positions[:, :, None] - key_positions[:, None, :] < text.sliding_window
    return {"full_attention": full, "sliding_attention": full & near[:, None]}

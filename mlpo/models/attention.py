"""Attention for any transformers decoder that never copies keys: query heads of a group stand in the query dimension.

Transformers repeats every key and value head before calling SDPA with a mask. With grouped-query attention
(arXiv:2305.13245) the same product is had by moving the group into the rows of the query, at no copy.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

GROUPED_ATTENTION = "mlpo_grouped"


def grouped_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """softmax(q k^T scale + mask) v.

    Args:
        query: [batch, heads, queries, width].
        key, value: [batch, key heads, keys, width]; key heads divides heads.
        attention_mask: [batch or 1, 1, queries, keys], boolean (True: sees) or additive; None is causal.
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
    out = torch.nn.functional.scaled_dot_product_attention(
        folded, key, value, attn_mask=mask, dropout_p=dropout, scale=scaling
    )
    return out.reshape(batch, heads, queries, width).transpose(1, 2).contiguous(), None


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
    if not kinds - {"full_attention"}:
        return full
    if kinds - {"full_attention", "sliding_attention"}:
        raise ValueError(f"layers of kind {sorted(kinds)} cannot share a prompt; only full and sliding attention can")
    near = positions[:, :, None] - key_positions[:, None, :] < text.sliding_window
    return {"full_attention": full, "sliding_attention": full & near[:, None]}

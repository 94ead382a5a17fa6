"""From hidden states to logits, only where a token is predicted: the head is a large part of a small model."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

GATHERING = "gather_and_read_at"
"""The method of a model whose weights are shared out over processes that gathers them and calls `read_at`."""


def predictions_at(model: PreTrainedModel, rows: Tensor, columns: Tensor, **inputs: Any) -> Tensor:
    """Float32 logits [n, V] at n places of what the model reads: one pass, whatever holds its weights.

    Args:
        rows, columns: [n] each; none at all is a pass too, and its gradient is 0.
        inputs: of the model without its head.
    """
    if (gathering := getattr(model, GATHERING, None)) is not None:
        read: Tensor = gathering(rows, columns, **inputs)
        return read
    return read_at(model, rows, columns, **inputs)


def read_at(model: PreTrainedModel, rows: Tensor, columns: Tensor, **inputs: Any) -> Tensor:
    """`predictions_at` for a model whose weights are all here."""
    backbone: Any = model.base_model
    return predictions(model, backbone(**inputs).last_hidden_state[rows, columns])


def predictions(model: PreTrainedModel, hidden: Tensor) -> Tensor:
    """Float32 logits of the chosen positions alone: [n, width] last hidden states -> [n, V].

    Scaled as the model's own forward does it: Granite divides them, Cohere multiplies them, Gemma bounds them.
    """
    head: Any = model.get_output_embeddings()
    config = model.config.get_text_config()
    scale = getattr(config, "logit_scale", 1.0) / getattr(config, "logits_scaling", 1.0)
    logits: Tensor = head(hidden).float() * scale
    cap = getattr(config, "final_logit_softcapping", None)
    return torch.tanh(logits / cap) * cap if cap else logits

"""From hidden states to logits, only where a token is predicted: the head is a large part of a small model."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel


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

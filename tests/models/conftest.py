"""Small random models of three families, in float32, with a tokenizer that writes token ids as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest
import torch
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from mlpo.models.attention import GROUPED_ATTENTION
from mlpo.models.load import LoadedModel

END = 1
SHAPE: dict[str, Any] = {
    "vocab_size": 97,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 256,
}


class NumberTokenizer:
    """Token ids as their decimal digits."""

    eos_token_id = END

    def decode(self, ids: Sequence[int]) -> str:
        return " ".join(map(str, ids))


def _llama() -> PreTrainedModel:
    return LlamaForCausalLM(LlamaConfig(**SHAPE))


def _qwen() -> PreTrainedModel:
    return Qwen2ForCausalLM(Qwen2Config(**SHAPE))


def _gemma() -> PreTrainedModel:
    # A window of 8 tokens is shorter than every prompt of these tests.
    layers = ["sliding_attention", "full_attention"]
    return Gemma3ForCausalLM(Gemma3TextConfig(**SHAPE, sliding_window=8, layer_types=layers))


@pytest.fixture(params=[_llama, _qwen, _gemma], ids=["llama", "qwen2", "gemma3"])
def loaded(request: pytest.FixtureRequest) -> LoadedModel:
    torch.manual_seed(0)
    model = request.param().eval()
    model.set_attn_implementation(GROUPED_ATTENTION)
    model.generation_config.eos_token_id = END
    return LoadedModel(model, cast(Any, NumberTokenizer()), "random", torch.device("cpu"), torch.float32)

"""Small random models of several families, in float32, with a tokenizer that writes token ids as numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest
import torch
from transformers import (
    CohereConfig,
    CohereForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GraniteConfig,
    GraniteForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
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
    chat_template = None

    def decode(self, ids: Sequence[int]) -> str:
        return " ".join(map(str, ids))


def _llama() -> PreTrainedModel:
    return LlamaForCausalLM(LlamaConfig(**SHAPE))


def _qwen() -> PreTrainedModel:
    return Qwen2ForCausalLM(Qwen2Config(**SHAPE))


def _gemma2() -> PreTrainedModel:
    # Scores reach far beyond 2 and logits beyond 1, so both caps change what comes out.
    layers = ["sliding_attention", "full_attention"]
    config = Gemma2Config(
        **SHAPE, sliding_window=8, layer_types=layers, initializer_range=0.5, query_pre_attn_scalar=1,
        attn_logit_softcapping=2.0, final_logit_softcapping=3.0,
    )  # fmt: skip
    return Gemma2ForCausalLM(config)


def _gemma3() -> PreTrainedModel:
    # A window of 8 tokens is shorter than every prompt of these tests.
    layers = ["sliding_attention", "full_attention"]
    return Gemma3ForCausalLM(Gemma3TextConfig(**SHAPE, sliding_window=8, layer_types=layers))


def _mistral() -> PreTrainedModel:
    # Every layer slides, and the configuration names no kinds of layers.
    return MistralForCausalLM(MistralConfig(**SHAPE, sliding_window=8))


def _granite() -> PreTrainedModel:
    shape = {name: value for name, value in SHAPE.items() if name != "head_dim"}
    return GraniteForCausalLM(GraniteConfig(**shape, logits_scaling=0.25))


def _cohere() -> PreTrainedModel:
    shape = {name: value for name, value in SHAPE.items() if name != "head_dim"}
    return CohereForCausalLM(CohereConfig(**shape, logit_scale=4.0, eos_token_id=END))


def as_loaded(make: Callable[[], PreTrainedModel]) -> LoadedModel:
    """The model as `load_model` would hand it out."""
    torch.manual_seed(0)
    model = make().eval()
    model.set_attn_implementation(GROUPED_ATTENTION)
    model.generation_config.eos_token_id = END
    return LoadedModel(model, cast(Any, NumberTokenizer()), "random", torch.device("cpu"), torch.float32)


@pytest.fixture(
    params=[_llama, _qwen, _gemma2, _gemma3, _mistral], ids=["llama", "qwen2", "gemma2", "gemma3", "mistral"]
)
def loaded(request: pytest.FixtureRequest) -> LoadedModel:
    """Every family whose attention differs."""
    return as_loaded(request.param)


@pytest.fixture(params=[_gemma2, _granite, _cohere], ids=["gemma2", "granite", "cohere"])
def scaling(request: pytest.FixtureRequest) -> LoadedModel:
    """Every family that does something to its logits."""
    return as_loaded(request.param)


@pytest.fixture
def qwen() -> LoadedModel:
    """One of them, where the family makes no difference."""
    return as_loaded(_qwen)


@pytest.fixture
def other_qwen() -> LoadedModel:
    """Its twin."""
    return as_loaded(_qwen)

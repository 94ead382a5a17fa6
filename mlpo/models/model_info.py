"""How large a model is, before its weights are here: from its configuration, or from the size its name tells."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig

from mlpo.config import LoraConfig
from mlpo.models.embedded import EMBEDDED
from mlpo.models.lora import choose_trained


class _Known(NamedTuple):
    kind: str
    layers: int
    width: int
    inner: int
    heads: int
    key_heads: int
    vocabulary: int
    context: int
    tied: bool = True
    more: Mapping[str, Any] = {}


# The config.json of each repository on the Hugging Face hub; of `embedded`, the GGUF's header.
_SMOL_135M = _Known("llama", 30, 576, 1536, 9, 3, 49152, 8192)
KNOWN: Mapping[str, _Known] = {
    EMBEDDED: _SMOL_135M,
    "HuggingFaceTB/SmolLM2-135M-Instruct": _SMOL_135M,
    "HuggingFaceTB/SmolLM2-1.7B-Instruct": _Known("llama", 24, 2048, 8192, 32, 32, 49152, 8192),
    "Qwen/Qwen2.5-0.5B-Instruct": _Known("qwen2", 24, 896, 4864, 14, 2, 151936, 32768),
    "Qwen/Qwen2.5-1.5B-Instruct": _Known("qwen2", 28, 1536, 8960, 12, 2, 151936, 32768),
    "Qwen/Qwen2.5-7B-Instruct": _Known("qwen2", 28, 3584, 18944, 28, 4, 152064, 32768, tied=False),
    "meta-llama/Llama-3.2-1B-Instruct": _Known("llama", 16, 2048, 8192, 32, 8, 128256, 131072),
    "meta-llama/Llama-3.1-8B-Instruct": _Known("llama", 32, 4096, 14336, 32, 8, 128256, 131072, tied=False),
    "google/gemma-2-9b-it": _Known("gemma2", 42, 3584, 14336, 16, 8, 256000, 8192, more={"head_dim": 256}),
}
"""Models whose configuration is known without the hub."""

_SIZE = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?)\s?([bm])(?![a-z0-9])", re.IGNORECASE)


NOT_HERE = "not downloaded yet"


@dataclass(frozen=True)
class ModelInfo:
    """What memory depends on."""

    parameters: int
    layers: int
    width: int
    """Of a hidden state."""
    inner: int
    """Of the feed-forward part."""
    key_width: int
    """Keys of one token in one layer, all key heads together; values are as many."""
    query_group: int
    """Query heads that share a key head."""
    vocabulary: int
    context: int
    """Longest prompt plus completion, tokens."""
    source: str
    """Where this is known from."""
    config: PretrainedConfig

    @property
    def embeddings(self) -> int:
        """Weights of the embeddings, and of the head if it has its own."""
        own_head = not self.config.get_text_config().tie_word_embeddings
        return self.vocabulary * self.width * (1 + own_head)

    def trained_parameters(self, trainable_layers: int | None, lora: LoraConfig | None) -> int:
        """Weights that training changes.

        Raises:
            ConfigError: no such layers.
        """
        network = _network(self.config)
        whole = _count(network)
        with torch.device("meta"):
            choose_trained(network, trainable_layers, lora, seed=0)
        trained = sum(int(p.numel()) for p in network.parameters() if p.requires_grad)
        return round(trained * self.parameters / whole)


def model_shape(model: str, revision: str | None = None) -> ModelInfo | None:
    """The model's shape, without weights and without the network; None if not even its name tells a size."""
    if (found := _here(model, revision)) is not None:
        place = "local folder" if Path(model).is_dir() else "hub cache"
        return _shape(found, place)
    if model in KNOWN:
        return replace(_known(model), source="installed package" if model == EMBEDDED else NOT_HERE)
    if (parameters := size_in(model)) is None:
        return None
    near = min(KNOWN, key=lambda name: abs(math.log(_known(name).parameters / parameters)))
    return replace(_known(near), parameters=parameters, source=f"{NOT_HERE}: size by its name, else like {near}")


def _here(model: str, revision: str | None) -> PretrainedConfig | None:
    """The configuration in a folder or in the hub's cache."""
    if model == EMBEDDED:
        return None
    try:
        config: PretrainedConfig = AutoConfig.from_pretrained(model, revision=revision, local_files_only=True)
    except (OSError, ValueError):  # not there, or of an architecture that transformers does not know
        return None
    return config


@cache
def _known(model: str) -> ModelInfo:
    known = KNOWN[model]
    config = AutoConfig.for_model(
        known.kind,
        num_hidden_layers=known.layers,
        hidden_size=known.width,
        intermediate_size=known.inner,
        num_attention_heads=known.heads,
        num_key_value_heads=known.key_heads,
        vocab_size=known.vocabulary,
        max_position_embeddings=known.context,
        tie_word_embeddings=known.tied,
        **known.more,
    )
    return _shape(config, NOT_HERE)


def _shape(config: PretrainedConfig, source: str) -> ModelInfo:
    text: Any = config.get_text_config()
    head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    key_heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    return ModelInfo(
        parameters=_count(_network(config)),
        layers=text.num_hidden_layers,
        width=text.hidden_size,
        inner=text.intermediate_size,
        key_width=key_heads * head,
        query_group=text.num_attention_heads // key_heads,
        vocabulary=text.vocab_size,
        context=text.max_position_embeddings,
        source=source,
        config=config,
    )


def _network(config: PretrainedConfig) -> Any:
    """The model without memory for its weights."""
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config)


def _count(network: Any) -> int:
    return sum(int(p.numel()) for p in network.parameters())


def size_in(name: str) -> int | None:
    """Parameters by the size that a name tells: 14,000,000,000 of "Qwen2.5-14B-Instruct"; None if it tells none."""
    found = _SIZE.findall(name.rpartition("/")[2].replace("-", " - "))
    return round(float(found[-1][0]) * (10**9 if found[-1][1] in "bB" else 10**6)) if found else None

"""Models by hub id, local folder or the embedded default: found, loaded, saved."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from mlpo.config import ConfigError
from mlpo.models.attention import GROUPED_ATTENTION
from mlpo.models.chat_template import as_read
from mlpo.models.embedded import model_source
from mlpo.models.ends import name_turn_end
from mlpo.models.identity import Quantization, model_identity
from mlpo.models.system import bring_system

DtypeName = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class LoadedModel:
    """A model with its tokenizer, ready to sample from or to train."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    identity: str
    """What the model is, independent of where it lies: equal identities give equal completions."""
    device: torch.device
    dtype: torch.dtype

    @property
    def max_context_tokens(self) -> int:
        """The longest prompt plus completion, tokens."""
        return int(self.model.config.get_text_config().max_position_embeddings)


def load_model(
    model: str,
    revision: str | None = None,
    *,
    device: str = "auto",
    dtype: DtypeName = "auto",
    quantize: Quantization | None = None,
) -> LoadedModel:
    """Load a causal language model in evaluation mode, with attention that shares keys among query heads.

    Raises:
        ConfigError: the model cannot be found, or not quantised here; the message names it and says what to do.
    """
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    where = choose_device(device)
    kind = choose_dtype(dtype, where)
    placed = quantised_on(where, kind, quantize) if quantize else {}
    source = model_source(model)
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, revision=revision)
        network: Any = AutoModelForCausalLM.from_pretrained(
            source, revision=revision, dtype=kind, attn_implementation=GROUPED_ATTENTION, use_safetensors=True, **placed
        )
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        offline = " (HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE") == "1" else ""
        raise ConfigError(
            f"model {model!r} could not be loaded{offline}: {reason}. "
            "Name a folder with config.json, tokenizer and *.safetensors, a reachable hub id, or 'embedded'"
        ) from None
    network = network if placed else network.to(where)
    return LoadedModel(network.eval(), tokenizer, model_identity(model, revision, quantize), where, kind)


def quantised_on(device: torch.device, dtype: torch.dtype, quantize: Quantization) -> dict[str, Any]:
    """What `from_pretrained` is told: LLM.int8 (arXiv:2208.07339) or NF4 (arXiv:2305.14314), computed in `dtype`.

    Raises:
        ConfigError: the device is no CUDA GPU, or bitsandbytes is not installed.
    """
    if device.type != "cuda":
        raise ConfigError(
            f"quantize: {quantize} needs a CUDA GPU, and this runs on {device}; set runtime.device or leave it out"
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ConfigError(f"quantize: {quantize} needs bitsandbytes: pip install 'mlpo[gpu]', or leave quantize out")
    how: dict[str, Any] = {"load_in_8bit": True}
    if quantize == "4bit":
        how = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": dtype}
    return {"quantization_config": BitsAndBytesConfig(**how), "device_map": {"": device}}


def choose_device(device: str) -> torch.device:
    """The device asked for; "auto" is CUDA where there is one, else the CPU."""
    if device != "auto":
        return torch.device(device)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def choose_dtype(dtype: DtypeName, device: torch.device) -> torch.dtype:
    """The dtype asked for; "auto" is bfloat16 only where the device multiplies it natively.

    A CPU without AVX512-BF16 or AMX emulates bfloat16 and is then several times slower than in float32.
    """
    if dtype != "auto":
        return torch.float32 if dtype == "float32" else torch.bfloat16
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if device.type == "cpu" and native else torch.float32


def save_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write weights and tokenizer to `folder`, whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        implementation = model.config._attn_implementation
        model.save_pretrained(scratch)
        model.config._attn_implementation = implementation
        tokenizer.save_pretrained(scratch)
        scratch.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def save_leader(leader: LoadedModel, folder: Path, *, system: str) -> None:
    """Save a trained leader so that it answers whoever asks it as it was trained, from now on here, too.

    Every file names the token that ends its turns, and the chat template brings `system` where no system message is
    given.
    """
    name_turn_end(leader.model, leader.tokenizer)
    bring_system(leader.tokenizer, as_read(leader.tokenizer, system))
    save_model(leader.model, leader.tokenizer, folder)


def trainable_parameters(model: PreTrainedModel, last_layers: int | None) -> list[nn.Parameter]:
    """Let gradients reach the last `last_layers` decoder layers and the final norm only; None is every parameter.

    Nothing below the first trainable layer is kept for the backward pass, so a step costs less time and memory.

    Raises:
        ConfigError: more layers asked for than there are.
    """
    if last_layers is None:
        model.requires_grad_(True)
        return list(model.parameters())
    backbone = decoder(model)
    layers = backbone.layers
    if last_layers > len(layers):
        raise ConfigError(f"trainable_layers is {last_layers}, but the model has {len(layers)} layers; lower it")
    model.requires_grad_(False)
    for part in (*layers[len(layers) - last_layers :], backbone.norm):
        part.requires_grad_(True)
    return [p for p in model.parameters() if p.requires_grad]


def decoder(model: PreTrainedModel) -> Any:
    """The part with `layers` and `norm`."""
    return model.get_decoder() if hasattr(model, "get_decoder") else model.base_model

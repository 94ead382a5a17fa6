"""What both sides of a benchmark start from: the same model, each loaded its own way, and prompts of random tokens."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from mlpo.models.embedded import embedded_folder
from mlpo.models.generate import Draw, sample_tokens
from mlpo.models.load import LoadedModel, choose_device, choose_dtype, load_model

BATCH_TOKENS = 16384
"""Prompt and completion tokens that our sampler takes at once."""
Work = Callable[[], tuple[int, float]]
"""One repeat; returns the tokens it drew or learned from, and its seconds."""
NEVER_DRAWN = "<repo_name>"
"""Stands in for the end token, so that every completion has its full length on both sides."""


def our_model(device: str, *, train: bool) -> LoadedModel:
    """SmolLM2 as the pipeline loads it: float32 weights where it is trained."""
    loaded = load_model("embedded", device=device, dtype="float32" if train else "auto")
    return replace(loaded, tokenizer=_endless(loaded.tokenizer, loaded.model))


def their_model(device: str, *, train: bool) -> LoadedModel:
    """SmolLM2 as transformers loads it by default."""
    where = choose_device(device)
    dtype = torch.float32 if train else choose_dtype("auto", where)
    model: Any = AutoModelForCausalLM.from_pretrained(str(embedded_folder()), dtype=dtype)
    tokenizer = _endless(AutoTokenizer.from_pretrained(str(embedded_folder())), model)
    return LoadedModel(model.to(where).eval(), tokenizer, "embedded", where, dtype)


def _endless(tokenizer: Any, model: Any) -> Any:
    tokenizer.eos_token = NEVER_DRAWN
    tokenizer.pad_token = NEVER_DRAWN
    tokenizer.chat_template = tokenizer.chat_template.replace("<|im_end|>", "")  # it would end a completion
    model.generation_config.eos_token_id = model.config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return tokenizer


def random_tokens(count: int, seed: int) -> tuple[int, ...]:
    """Ordinary tokens of SmolLM2's vocabulary."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randint(100, 40000, (count,), generator=generator).tolist())


def sampled(loaded: LoadedModel, draws: Sequence[Draw]) -> Work:
    """Our sampler's repeat."""

    def once() -> int:
        drawn = sample_tokens(loaded, draws, batch_tokens=BATCH_TOKENS)
        return sum(len(each.token_ids) for each in drawn)

    return timed(loaded.device, once)


def timed(device: torch.device, once: Callable[[], int]) -> Work:
    """A repeat that lasts until the device has computed everything."""

    def work() -> tuple[int, float]:
        began = time.perf_counter()
        tokens = once()
        synchronise(device)
        return tokens, time.perf_counter() - began

    return work


def synchronise(device: torch.device) -> None:
    """Wait for what a GPU still computes."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)

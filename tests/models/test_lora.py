"""Adapters: nothing changes before they are trained, merged is as adapted, and what is saved is a plain model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from mlpo.config import ConfigError, LoraConfig
from mlpo.models.load import LoadedModel
from mlpo.models.lora import Adapters, choose_trained, plain_weights
from mlpo.models.packed import pack, packed_logprobs
from tests.models.test_packed import GROUPS

LORA = LoraConfig(rank=3, alpha=12)


def logprobs(loaded: LoadedModel) -> Tensor:
    (batch,) = pack(GROUPS, 400)
    return packed_logprobs(loaded.model, batch).logprobs_NT


def grow(loaded: LoadedModel) -> None:
    """As training would: every adapter adds something."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, weight in loaded.model.named_parameters():
            if ".lora_B." in name:
                weight.copy_(torch.randn(weight.shape, generator=generator) * 0.1)


def test_only_adapters_have_gradients_and_they_change_nothing_at_first(qwen: LoadedModel) -> None:
    before = logprobs(qwen)
    Adapters(qwen.model, LORA, seed=0)
    found = logprobs(qwen)
    torch.testing.assert_close(found, before)
    found.sum().backward()
    with_gradient = {name for name, p in qwen.model.named_parameters() if p.grad is not None}
    # A and B of the 7 linear layers of each of 2 blocks
    assert len(with_gradient) == 2 * 7 * 2
    assert all(".lora_" in name for name in with_gradient)


def test_merged_and_saved_it_is_a_plain_model_with_the_adapted_logits(qwen: LoadedModel, tmp_path: Path) -> None:
    names = [name for name, _ in qwen.model.named_parameters()]
    before = logprobs(qwen)
    adapters = Adapters(qwen.model, LORA, seed=0)
    grow(qwen)
    adapted = logprobs(qwen)
    assert (adapted - before).abs().max() > 0.01
    adapters.merge()
    torch.testing.assert_close(logprobs(qwen), adapted, atol=1e-5, rtol=1e-4)
    assert [name for name, _ in qwen.model.named_parameters()] == names
    qwen.model.save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "generation_config.json", "model.safetensors"}
    again: Any = AutoModelForCausalLM.from_pretrained(tmp_path, attn_implementation="eager")
    ids = torch.tensor([GROUPS[0].prompt])
    qwen.model.set_attn_implementation("eager")
    with torch.no_grad():
        assert torch.equal(again(ids).logits, qwen.model(ids).logits)


def test_plain_weights_are_those_of_the_merged_model(qwen: LoadedModel) -> None:
    adapters = Adapters(qwen.model, LORA, seed=0)
    grow(qwen)
    plain = {name: weight.detach().clone() for name, weight in plain_weights(qwen.model)}
    adapters.merge()
    merged = dict(qwen.model.named_parameters())
    assert len(plain) == 7 * 2  # the linear layers of two blocks
    for name, weight in plain.items():
        torch.testing.assert_close(weight, merged[name].detach(), atol=1e-6, rtol=1e-6)
    choose_trained(qwen.model, 1, None, seed=0)
    assert [n for n, _ in plain_weights(qwen.model)] == [n for n, p in merged.items() if p.requires_grad]


def test_the_seed_alone_decides_how_adapters_start(qwen: LoadedModel, other_qwen: LoadedModel) -> None:
    torch.manual_seed(5)
    Adapters(qwen.model, LORA, seed=0)
    state = torch.get_rng_state()
    torch.manual_seed(6)
    Adapters(other_qwen.model, LORA, seed=0)
    for one, other in zip(qwen.model.parameters(), other_qwen.model.parameters(), strict=True):
        assert torch.equal(one, other)
    torch.manual_seed(5)
    assert torch.equal(torch.get_rng_state(), state)  # nobody else's random numbers are used up


def test_a_layer_that_is_not_there_is_named_with_those_that_are(qwen: LoadedModel) -> None:
    with pytest.raises(ConfigError, match=r"lora\.target_modules: .*query.*Linear layers here: down_proj, .*, v_proj"):
        Adapters(qwen.model, LoraConfig(target_modules=("query",)), seed=0)


def test_without_adapters_the_last_layers_or_everything_is_trained(qwen: LoadedModel) -> None:
    assert choose_trained(qwen.model, None, None, seed=0) is None
    assert all(p.requires_grad for p in qwen.model.parameters())
    choose_trained(qwen.model, 1, None, seed=0)
    assert {n.split(".")[2] for n, p in qwen.model.named_parameters() if p.requires_grad} == {"1", "weight"}

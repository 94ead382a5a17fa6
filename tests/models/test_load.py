"""Models by name: what quantised weights are called and where they are refused, and templates that refuse a prompt."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

from mlpo.config import ConfigError
from mlpo.models.load import Quantization, load_model, model_identity, quantised_on, render
from mlpo.models.sample import Draw, sample_tokens
from mlpo.types import Message, Sampling
from tests.training.conftest import tiny_folder  # noqa: F401 - a fixture

GPU = torch.device("cuda")
NO_GPU = "needs a CUDA GPU, and this runs on cpu; set runtime.device or leave it out"


def test_quantised_weights_have_a_name_of_their_own() -> None:
    names = {model_identity("some/model", "abc", how) for how in (None, "8bit", "4bit")}
    assert names == {"some/model@abc", "some/model@abc:8bit", "some/model@abc:4bit"}


@pytest.mark.parametrize("how", ["8bit", "4bit"])
def test_quantised_weights_are_refused_on_a_cpu_before_a_model_is_looked_for(how: Quantization) -> None:
    with pytest.raises(ConfigError, match=f"quantize: {how} {NO_GPU}"):
        load_model("no/such-model", device="cpu", quantize=how)


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is not None, reason="bitsandbytes is installed")
def test_without_bitsandbytes_it_is_said_how_to_install_it() -> None:
    with pytest.raises(ConfigError, match=r"quantize: 4bit needs bitsandbytes: pip install 'mlpo\[gpu\]'"):
        quantised_on(GPU, torch.bfloat16, "4bit")


@pytest.mark.gpu
@pytest.mark.parametrize("how", ["8bit", "4bit"])
def test_quantised_weights_take_less_memory_and_answer(how: Quantization) -> None:
    whole, quantised = load_model("embedded", device="cuda"), load_model("embedded", device="cuda", quantize=how)
    assert quantised.model.get_memory_footprint() < whole.model.get_memory_footprint()
    prompt = render(quantised.tokenizer, [Message("user", "What is the capital of France?")])
    (drawn,) = sample_tokens(quantised, [Draw(prompt, Sampling(0.0, 1.0, 12), 0)], batch_tokens=4096)
    assert "Paris" in drawn.text


def test_a_template_that_refuses_a_system_message_is_named(tiny_folder: Path) -> None:  # noqa: F811
    tokenizer = load_model(str(tiny_folder), device="cpu").tokenizer
    # as the template of Gemma 2 does
    tokenizer.chat_template = (
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
        "{{ messages[-1]['content'] }}"
    )
    assert render(tokenizer, [Message("user", "1 + 1?")])
    with pytest.raises(ConfigError, match=r"template of .*tiny refuses system, user: System role not supported; leave"):
        render(tokenizer, [Message("system", "Be brief."), Message("user", "1 + 1?")])

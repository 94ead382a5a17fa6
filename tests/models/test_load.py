"""Models by name: where quantised weights are refused, and what they save."""

from __future__ import annotations

import importlib.util

import pytest
import torch

from mlpo.config import ConfigError
from mlpo.models.chat_template import render
from mlpo.models.generate import Draw, sample_tokens
from mlpo.models.identity import Quantization
from mlpo.models.load import load_model, quantised_on
from mlpo.types import Message, Sampling
from tests.training.conftest import tiny_folder  # noqa: F401 - a fixture

GPU = torch.device("cuda")
NO_GPU = "needs a CUDA GPU, and this runs on cpu; set runtime.device or leave it out"


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

"""Shapes without weights: the counts that are published, what a folder says, and what a name tells."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpo.config import ConfigError, LoraConfig
from mlpo.models.load import load_model
from mlpo.models.lora import choose_trained
from mlpo.models.model_info import KNOWN, model_shape, size_in
from tests.training.conftest import tiny_folder  # noqa: F401 - a fixture

PUBLISHED = {
    "HuggingFaceTB/SmolLM2-1.7B-Instruct": 1_711_376_384,
    "Qwen/Qwen2.5-0.5B-Instruct": 494_032_768,
    "Qwen/Qwen2.5-1.5B-Instruct": 1_543_714_304,
    "Qwen/Qwen2.5-7B-Instruct": 7_615_616_512,
    "embedded": 134_515_008,
    "google/gemma-2-9b-it": 9_241_705_984,
    "meta-llama/Llama-3.1-8B-Instruct": 8_030_261_248,
    "meta-llama/Llama-3.2-1B-Instruct": 1_235_814_400,
}
"""Tensors of each repository's safetensors files, tied ones once."""


@pytest.mark.parametrize(("model", "parameters"), PUBLISHED.items())
def test_a_known_model_has_its_published_number_of_parameters(model: str, parameters: int) -> None:
    shape = model_shape(model)
    assert shape is not None
    assert shape.parameters == parameters


def test_every_known_model_is_checked() -> None:
    assert set(KNOWN) - {"HuggingFaceTB/SmolLM2-135M-Instruct"} == set(PUBLISHED)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("a/Qwen2.5-14B-Instruct", 14 * 10**9),
        ("a/tiny-350m", 350 * 10**6),
        ("b/x-1.5b-it", 1_500_000_000),
        ("a/b", None),
    ],
)
def test_a_name_tells_a_size(name: str, size: int | None) -> None:
    assert size_in(name) == size


def test_an_unknown_model_is_shaped_like_the_nearest_known_one() -> None:
    shape, near = model_shape("somebody/Other-7B"), model_shape("Qwen/Qwen2.5-7B-Instruct")
    assert shape is not None
    assert near is not None
    assert (shape.parameters, shape.layers) == (7 * 10**9, near.layers)
    assert "size by its name, else like Qwen/Qwen2.5-7B-Instruct" in shape.source
    assert model_shape("somebody/secret") is None


@pytest.mark.parametrize(("last", "lora"), [(None, None), (1, None), (None, LoraConfig(rank=3))])
def test_a_folders_shape_and_trained_weights_are_the_loaded_models(
    tiny_folder: Path,  # noqa: F811
    last: int | None,
    lora: LoraConfig | None,
) -> None:
    shape, network = model_shape(str(tiny_folder)), load_model(str(tiny_folder), device="cpu").model
    assert shape is not None
    assert (shape.parameters, shape.context) == (sum(p.numel() for p in network.parameters()), 512)
    assert shape.source == "local folder"
    choose_trained(network, last, lora, seed=0)
    assert shape.trained_parameters(last, lora) == sum(p.numel() for p in network.parameters() if p.requires_grad)


def test_layers_that_are_not_there_are_refused(tiny_folder: Path) -> None:  # noqa: F811
    shape = model_shape(str(tiny_folder))
    assert shape is not None
    with pytest.raises(ConfigError, match="the model has 2 layers"):
        shape.trained_parameters(3, None)

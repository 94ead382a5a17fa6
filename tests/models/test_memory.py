"""The estimate against what tensors really take, and against sums by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mlpo.models.kv_cache import KeyStore
from mlpo.models.load import load_model
from mlpo.models.memory import sampling_memory, training_memory
from mlpo.models.model_info import ModelInfo, model_shape
from mlpo.models.packed import Group, pack, packed_logprobs
from tests.training.conftest import tiny_folder  # noqa: F401 - a fixture


@pytest.fixture
def qwen() -> ModelInfo:
    shape = model_shape("Qwen/Qwen2.5-7B-Instruct")
    assert shape is not None
    return shape


def test_a_7b_model_with_its_gradients_and_adam_takes_16_bytes_a_weight(qwen: ModelInfo) -> None:
    # 7.616e9 weights x (4 + 4 + 8) bytes = 121.8 GB; with bfloat16 copies of 15.2 GB to sample from and to compute with
    whole = {"trained": qwen.parameters, "layers": 28, "row_tokens": 0, "predicted": 0}
    assert training_memory(qwen, **whole, value_bytes=4).total == pytest.approx(121.8e9, rel=1e-3)
    sampled = training_memory(qwen, **whole, value_bytes=2, batch_tokens=1)
    assert sampled.total == pytest.approx(152.3e9, rel=1e-3)
    # half of the layers: half of 6.526e9 casts less, 2 bytes each
    upper = training_memory(qwen, **whole | {"layers": 14}, value_bytes=2, batch_tokens=1)
    assert sampled.total - upper.total == pytest.approx(6.526e9, rel=1e-3)
    # the reference of beta > 0 is one more copy of what is trained
    more = training_memory(qwen, **whole, value_bytes=4, reference=True).total
    assert more == pytest.approx(152.3e9, rel=1e-3)


def test_an_engine_holds_weights_of_its_own_in_any_dtype(qwen: ModelInfo) -> None:
    # 7.616e9 weights x 4 bytes = 30.5 GB, 1 GB of its own, and 4096 tokens x 4 x (4 x 3584 + 2 x 512 + 3 x 18944) bytes
    plain = {"trained": 0, "layers": 28, "row_tokens": 0, "predicted": 0, "value_bytes": 4, "batch_tokens": 1}
    more = training_memory(qwen, **plain, engine=True).total - training_memory(qwen, **plain).total
    assert more == pytest.approx(30.46e9 + 1e9 + 1.18e9, rel=1e-3)


def test_eight_processes_share_16_bytes_a_weight_but_not_what_they_sample_from_and_gather(qwen: ModelInfo) -> None:
    shared = training_memory(
        qwen, trained=qwen.parameters, layers=28, row_tokens=0, predicted=0, value_bytes=2, batch_tokens=1, shards=8
    )
    # 7.616e9 x 16 / 8 = 15.2 GB, the copy 15.2 GB. E = 2 x 152,064 x 3,584 + 2 / 28 of the other 6.526e9 = 1.556e9:
    # 2 E = 3.1 GB gathered, 6 E = 9.3 GB of their gradients
    assert shared.weights == pytest.approx(3.81e9 + 15.23e9 + 3.11e9, rel=1e-3)
    assert shared.gradients == pytest.approx(3.81e9 + 9.34e9, rel=1e-3)
    assert shared.optimizer == pytest.approx(7.62e9, rel=1e-3)


def test_keys_and_values_are_those_of_grouped_heads(qwen: ModelInfo) -> None:
    # 2 x 28 layers x 4 heads x 128 x 2 bytes = 57,344 bytes a token
    assert sampling_memory(qwen, batch_tokens=1000, value_bytes=2).keys == 57_344_000


def test_quantised_weights_are_the_only_part_that_shrinks(qwen: ModelInfo) -> None:
    whole = sampling_memory(qwen, batch_tokens=1000, value_bytes=2)
    small = sampling_memory(qwen, batch_tokens=1000, value_bytes=2, quantize="4bit")
    assert small.weights == pytest.approx(whole.weights * 0.28)
    assert (small.keys, small.activations) == (whole.keys, whole.activations)


def test_weights_gradients_adam_and_keys_are_what_tensors_take(tiny_folder: Path) -> None:  # noqa: F811
    shape, network = model_shape(str(tiny_folder)), load_model(str(tiny_folder), device="cpu", dtype="float32").model
    assert shape is not None
    estimate = training_memory(
        shape, trained=shape.parameters, layers=2, row_tokens=8, predicted=0, value_bytes=4, batch_tokens=6
    )
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.arange(3, 11)[None]).logits.sum().backward()
    optimizer.step()
    assert estimate.weights == sum(p.nbytes for p in network.parameters())
    assert estimate.gradients == sum(p.grad.nbytes for p in network.parameters() if p.grad is not None)
    moments = [t for state in optimizer.state.values() for t in state.values() if t.ndim]
    assert estimate.optimizer == sum(t.nbytes for t in moments)
    store = KeyStore(2, rows=2, columns=3)
    for layer in range(2):
        keys = torch.zeros(2, 2, 3, 8)
        store.write(layer, 0, 0, keys, keys)
    assert estimate.keys == sum(t.nbytes for t in (*store.keys, *store.values))


def test_autocast_keeps_two_bytes_of_every_matrix_for_the_backward_pass(tiny_folder: Path) -> None:  # noqa: F811
    shape, network = model_shape(str(tiny_folder)), load_model(str(tiny_folder), device="cpu", dtype="float32").model
    assert shape is not None
    network.requires_grad_(False)
    states = network.get_input_embeddings()(torch.arange(3, 11)[None]).requires_grad_()
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.dtype == torch.bfloat16 and tensor.untyped_storage().nbytes() in sizes:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    layers = [weight for weight in network.base_model.layers.parameters() if weight.ndim == 2]
    sizes = {2 * weight.numel() for weight in layers}
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), torch.autocast("cpu", torch.bfloat16):
        network.base_model(inputs_embeds=states)
    passed = {"trained": 0, "layers": 2, "row_tokens": 0, "predicted": 0}
    casts = (training_memory(shape, **passed, value_bytes=b).weights for b in (2, 4))
    found = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    assert found == 2 * sum(weight.numel() for weight in layers)
    assert next(casts) - next(casts) == pytest.approx(found + 2 * shape.embeddings, rel=0.02)  # norms count there


def test_all_layers_keep_one_mask_for_the_backward_pass(tiny_folder: Path) -> None:  # noqa: F811
    shape, network = model_shape(str(tiny_folder)), load_model(str(tiny_folder), device="cpu", dtype="float32").model
    assert shape is not None
    (batch,) = pack([Group(tuple(range(3, 15)), ((5,) * 6, (6,) * 6))], 24)  # a row of 24 tokens
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.shape[-2:] == (2 * 24, 24):  # two query heads a key head
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logprobs = packed_logprobs(network, batch).logprobs_NT
    assert logprobs.requires_grad
    once, twice = (
        training_memory(shape, trained=0, layers=2, row_tokens=n, predicted=0, value_bytes=4).activations
        for n in (24, 48)
    )
    assert list(kept.values()) == [(twice - 2 * once) / 2]

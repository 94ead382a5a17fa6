"""The model_pool: one backend per identity, models opened late, once, and let go when others need their place."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import pytest

from mlpo.config import ConfigError, RuntimeConfig
from mlpo.inference.backend import Backend
from mlpo.inference.local import LocalModels
from mlpo.inference.model_pool import ModelPool
from mlpo.inference.scripted import ScriptedBackend, ScriptedModels
from mlpo.inference.usage import GenerationLedger
from mlpo.types import Completion, Message, Request, Sampling

REQUEST = Request("p", "geo", (Message("user", "hi"),), Sampling(), seed=0)


def key(identity: str, request: Request) -> str:
    return f"{identity} {request.seed}"


def pool_of(models: ScriptedModels, *, max_loaded: int = 2, ledger: GenerationLedger | None = None) -> ModelPool:
    return ModelPool(models, {}, key, ledger=ledger or GenerationLedger(), max_loaded=max_loaded)


def test_names_of_one_model_share_a_backend() -> None:
    model_pool = pool_of(ScriptedModels(lambda _: "x"))
    assert model_pool.backend("tiny", None) is model_pool.backend("tiny", None)
    assert model_pool.backend("tiny", None) is not model_pool.backend("tiny", "v2")


def test_a_model_is_opened_by_its_first_request_and_once() -> None:
    models, ledger = ScriptedModels(lambda _: "x y"), GenerationLedger()
    backend = pool_of(models, ledger=ledger).backend("tiny")
    assert models.opened == []
    backend.generate([REQUEST])
    backend.generate([replace(REQUEST, seed=1), REQUEST])
    assert models.opened == ["scripted:tiny@None"]
    assert ledger.models["geo"].completion_tokens == 4


def test_the_same_request_to_another_model_is_another_completion() -> None:
    models = ScriptedModels(lambda _: "x")
    model_pool = pool_of(models)
    for name in ("one", "two", "one"):
        model_pool.backend(name).generate([REQUEST])
    assert models.backend.num_generations == 2


def test_quantised_weights_are_another_model_and_refused_without_a_gpu() -> None:
    model_pool = ModelPool(LocalModels(RuntimeConfig(device="cpu")), {}, key, ledger=GenerationLedger())
    whole, small = model_pool.backend("embedded"), model_pool.backend("embedded", None, None, "4bit")
    assert whole.key(REQUEST) != small.key(REQUEST)
    with pytest.raises(ConfigError, match="quantize: 4bit needs a CUDA GPU"):
        small.generate([REQUEST])


@pytest.mark.parametrize(("max_loaded", "opened"), [(1, "abab"), (2, "ab")])
def test_the_model_opened_first_makes_room(max_loaded: int, opened: str) -> None:
    models = ScriptedModels(lambda _: "x")
    model_pool = pool_of(models, max_loaded=max_loaded)
    for seed in range(2):
        for name in ("a", "b"):
            model_pool.backend(name).generate([replace(REQUEST, seed=seed)])
    assert models.opened == [f"scripted:{name}@None" for name in opened]


def test_a_model_that_made_room_is_freed() -> None:
    class Weighty(ScriptedModels):
        def open(self, model: str, revision: str | None) -> Backend:
            super().open(model, revision)
            backend = ScriptedBackend(lambda _: "x")
            alive.append(weakref.ref(backend))
            return backend

    alive: list[weakref.ref[ScriptedBackend]] = []
    model_pool = pool_of(Weighty(lambda _: "x"), max_loaded=1)
    kept: list[Completion] = []
    for name in ("a", "b"):
        kept += model_pool.backend(name).generate([REQUEST])
    gc.collect()
    assert [ref() is not None for ref in alive] == [False, True]

"""The ledger: what was really asked, and whose seconds it took."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from mlpo.inference.cache import CachedBackend
from mlpo.inference.scripted import ScriptedBackend
from mlpo.inference.usage import GenerationLedger, MeteredBackend
from mlpo.types import Completion, Message, Request, Sampling


def test_models_that_share_a_batch_share_its_seconds_by_tokens() -> None:
    completion = Completion("p", "a", "x", "stop", prompt_tokens=20, completion_tokens=10)
    ledger = GenerationLedger()
    ledger.add([completion, replace(completion, model="b", prompt_tokens=50)], 9.0)
    # a: 30 of 90 tokens, b: 60 of 90
    assert {m: u.model_seconds for m, u in ledger.models.items()} == pytest.approx({"a": 3.0, "b": 6.0})
    assert ledger.model_seconds == pytest.approx(9.0)
    assert ledger.as_rows()["a"]["prompt_tokens"] == 20


def test_kept_completions_cost_nothing() -> None:
    def slow(_: Request) -> str:
        time.sleep(0.02)
        return "x y"

    ledger = GenerationLedger()
    wanted = [Request("p", "a", (Message("user", "one two three"),), Sampling(), seed) for seed in range(3)]
    backend = CachedBackend(MeteredBackend(ScriptedBackend(slow), ledger), {}, lambda r: str(r.seed))
    for _ in range(5):
        backend.generate(wanted)
    usage = ledger.models["a"]
    assert (usage.generations, usage.prompt_tokens, usage.completion_tokens) == (3, 9, 6)
    # 15 tokens in at least 3 x 0.02 s, and in far less than five times that
    assert 0.06 <= usage.model_seconds < 0.25
    assert usage.seconds_per_token == pytest.approx(usage.model_seconds / 15)

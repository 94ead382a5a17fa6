"""The model card: metadata that the hub's own reader takes, and a text without a gap."""

from __future__ import annotations

from dataclasses import replace

import pytest
from huggingface_hub import ModelCard

from mlpo import benchmarks
from mlpo.config import Params
from mlpo.tracking.card import DATASETS, model_card
from tests.tracking.candidates import candidate


def test_the_hub_reads_its_metadata(params: Params) -> None:
    data = ModelCard(model_card(candidate(params))).data
    assert (data.base_model, data.license) == ("HuggingFaceTB/SmolLM2-135M-Instruct", "apache-2.0")
    assert (data.library_name, data.pipeline_tag, data.datasets) == ("transformers", "text-generation", None)
    [result] = data.eval_results
    assert (result.metric_name, result.metric_value) == ("accuracy with its team", 0.5)


def test_it_says_how_the_leader_is_asked_how_it_did_and_what_it_was_made_of(params: Params) -> None:
    card = model_card(candidate(params))
    for text in (
        "| geo | embedded |  | 0.7 | 16 | 0 |",
        "    user: Capital of France?\n    geo: Paris\n\nAlone:",
        "    user: Capital of France?\n\nIt answers",
        f"4 test problems of `basics`, seed 0, evaluation set `{candidate(params).evaluation.problems}`",
        "| strategy | accuracy |",
        '    leader([{"role": "user", "content": QUESTION}], max_new_tokens=48, do_sample=False)',
        '"max_tokens": 48, "messages": [{"role": "user", "content": "QUESTION"}]}',
        "No system message is needed: the chat template brings the one above.",
        "196 problems of `basics` (Apache-2.0; GeoNames CC BY 4.0), read from: package",
        "(sha256 `w0`)",
    ):
        assert text in card


def test_a_published_benchmark_and_another_base_model_are_named_as_the_hub_names_them(params: Params) -> None:
    leader = params.leader.model_copy(update={"model": "org/base", "revision": "abc"})
    prepare = params.prepare.model_copy(update={"benchmark": "gsm8k"})
    other = replace(candidate(params), params=params.model_copy(update={"leader": leader, "prepare": prepare}))
    data = ModelCard(model_card(other)).data
    assert (data.base_model, data.datasets, data.license) == ("org/base", ["openai/gsm8k"], "other")
    assert data.license_link == "https://huggingface.co/org/base"
    assert "org/base at revision `abc`" in model_card(other)


@pytest.mark.parametrize("name", DATASETS)
def test_a_benchmark_is_the_dataset_it_is_read_from(name: str) -> None:
    assert getattr(benchmarks, name).HUB.name == DATASETS[name]

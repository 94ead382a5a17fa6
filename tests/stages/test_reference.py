"""Stage `reference`: what an agent alone can look up, the same bytes again, and what it is asked with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlpo.benchmarks import basics
from mlpo.config import ConfigError, Params, parse_params
from mlpo.inference.scripted import ScriptedModels
from mlpo.layout import passages_of, proposals_of, reference_of
from mlpo.method.dealing import part_of
from mlpo.stages import propose, reference
from mlpo.store import read_jsonl
from mlpo.types import Completion, Passage, Request


def with_reference(raw: dict[str, Any], **config: Any) -> Params:
    raw["team"]["adder"]["reference"] = config
    return parse_params(raw)


def looked_up(agent: str = "adder") -> dict[str, tuple[str, ...]]:
    """problem id -> texts of the passages that the agent was shown."""
    rows = read_jsonl(proposals_of(agent), Completion)
    return {c.problem_id: tuple(p.text for p in c.passages) for c in rows}


@pytest.fixture
def notes(house: Path) -> Path:
    """A folder of documents that hold 1 + 1 and 12 + 1."""
    folder = house / "notes"
    folder.mkdir()
    (folder / "sums.md").write_text("1 + 1 is 2.\n\n12 + 1 is 13.\n")
    return folder


def test_an_agent_without_one_has_an_empty_folder(house: Path, params: Params) -> None:
    reference.run(params, "guesser")
    assert reference_of("guesser").is_dir()
    assert list(reference_of("guesser").iterdir()) == []


def test_documents_are_shown_before_the_question_and_are_kept_with_the_proposal(
    notes: Path, raw_params: dict[str, Any]
) -> None:
    params = with_reference(raw_params, source=str(notes))
    reference.run(params, "adder")
    asked: list[Request] = []
    propose.run(params, "adder", models=ScriptedModels(lambda request: asked.append(request) or "2"))
    last = {request.problem_id: request.messages[-1].content for request in asked}
    assert last["test000012"] == "Note: 12 + 1 is 13.\n12 + 1?"
    assert looked_up()["test000012"] == ("12 + 1 is 13.",)


def test_a_changed_document_asks_again_only_where_a_passage_changed(notes: Path, raw_params: dict[str, Any]) -> None:
    params = with_reference(raw_params, source=str(notes))
    reference.run(params, "adder")
    first = ScriptedModels(lambda request: "2")
    propose.run(params, "adder", models=first)
    before = looked_up()
    (notes / "more.md").write_text("13 + 1 is 14.")
    reference.run(params, "adder")
    again = ScriptedModels(lambda request: "2")
    propose.run(params, "adder", models=again)
    changed = {problem for problem, passages in looked_up().items() if passages != before[problem]}
    assert "test000013" in changed
    samples = {p: 2 if p.startswith("train") else 1 for p in before}
    assert again.backend.num_generations == sum(samples[p] for p in changed) < first.backend.num_generations


def test_equal_documents_write_equal_bytes_and_an_old_passage_is_gone(notes: Path, raw_params: dict[str, Any]) -> None:
    params = with_reference(raw_params, source=str(notes))
    reference.run(params, "adder")
    written = passages_of("adder").read_bytes()
    reference.run(params, "adder")
    assert passages_of("adder").read_bytes() == written
    raw_params["team"]["adder"]["reference"] = None
    reference.run(parse_params(raw_params), "adder")
    assert not passages_of("adder").exists()


def test_a_benchmarks_facts_are_dealt_over_all_of_it(house: Path, raw_params: dict[str, Any]) -> None:
    params = with_reference(raw_params, source="benchmark:basics", families=["plural"], num_parts=10, parts=[2, 3])
    reference.run(params, "adder")
    held = {p.solution for p in basics.load()["plural"] if part_of(p, 10) in (2, 3)}
    assert {p.text for p in read_jsonl(passages_of("adder"), Passage)} == held
    assert len(held) > 10


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"source": "nowhere"}, "nowhere: no such file or folder"),
        ({"source": "benchmark:basic"}, r"team.adder.reference.source: no benchmark 'basic'; there are .*basics"),
        (
            {"source": "benchmark:basics", "families": ["sums"]},
            "reference.families: basics has no sums; it has",
        ),
    ],
)
def test_what_is_not_there_is_named(
    house: Path, raw_params: dict[str, Any], config: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        reference.run(with_reference(raw_params, **config), "adder")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"source": "notes", "parts": [1], "num_parts": 2},
            "leave them out for documents",
        ),
        ({"source": "benchmark:basics", "parts": [2], "num_parts": 2}, r"numbered 0 to num_parts - 1 = 1, got \[2\]"),
    ],
)
def test_a_dealing_that_cannot_be_is_refused(raw_params: dict[str, Any], config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        with_reference(raw_params, **config)


def test_proposals_without_the_passages_name_the_stage(house: Path, raw_params: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="run `mlpo reference adder`, or `dvc repro` for all"):
        propose.run(with_reference(raw_params, source="benchmark:basics"), "adder", models=ScriptedModels(str))

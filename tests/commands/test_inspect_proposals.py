"""`mlpo inspect proposals`: question, what was looked up, proposal and verdict; nothing of the test problems."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlpo.commands import inspect_proposals
from mlpo.config import ConfigError, Params, parse_params
from mlpo.inference.scripted import ScriptedModels
from mlpo.layout import TEST_PROBLEMS, passages_of
from mlpo.stages import propose
from mlpo.store import write_jsonl_atomic
from mlpo.types import Completion, Passage, Request


@pytest.fixture
def proposed(house: Path, raw_params: dict[str, Any]) -> Params:
    """The adder has looked up and says 2 to everything; the test problems are gone."""
    raw_params["team"]["adder"]["reference"] = {"source": "sums.md"}
    write_jsonl_atomic(passages_of("adder"), [Passage("1 + 1 is [2].", "sums.md, passage 1")])
    params = parse_params(raw_params)
    propose.run(params, "adder", models=ScriptedModels(lambda request: "It is 2."))
    TEST_PROBLEMS.unlink()
    return params


def test_a_proposal_stands_with_its_question_and_passage(proposed: Params, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    inspect_proposals.run(proposed, "adder", 100, "1 + 1")
    out = capsys.readouterr().out.splitlines()
    [heading] = [number for number, line in enumerate(out) if "sum · train000001 · sample 0" in line]
    lines = out[heading + 1 : heading + 5]
    assert lines == [
        "1 + 1?",
        "  looked up: 1 + 1 is [2].  (sums.md, passage 1)",
        "  adder: It is 2.",
        "  read as 2, right",
    ]


def test_how_sure_the_agent_was_stands_beside_its_name(
    house: Path, raw_params: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    told = parse_params(raw_params | {"rounds": {"tell_certainty": True}})

    def reply(request: Request) -> Completion:
        doubt = 0.5 if request.sampling.entropy else None
        return Completion(request.problem_id, request.model, "It is 2.", "stop", 9, 3, request.sample, entropy=doubt)

    propose.run(told, "adder", models=ScriptedModels(reply))
    capsys.readouterr()
    inspect_proposals.run(told, "adder", 100)
    assert "  adder (61 % sure): It is 2." in capsys.readouterr().out  # exp(-0.5)


def test_a_wrong_one_says_what_was_wanted_and_no_test_problem_is_shown(
    proposed: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    inspect_proposals.run(proposed, "adder", 100)
    out = capsys.readouterr().out
    assert "  read as 2, wrong: 3 was wanted" in out
    assert "calibration0000" in out
    assert "test0000" not in out


@pytest.mark.parametrize(
    ("agent", "words", "message"),
    [
        ("adder", "weather", "no proposal to a question that holds 'weather'"),
        ("guesser", "", "guesser.jsonl: no such file"),
        ("nobody", "", "team.nobody is unknown; the team is adder, guesser"),
    ],
)
def test_what_is_not_there_is_named(proposed: Params, agent: str, words: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        inspect_proposals.run(proposed, agent, 1, words)

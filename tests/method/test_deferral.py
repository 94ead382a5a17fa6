"""The deferring leader names an agent and writes no answer of its own."""

from __future__ import annotations

import pytest

from mlpo.method.selection import ProposalSet
from mlpo.method.strategies.deferral import DEFERRAL_SYSTEM, deferral, deferral_examples, read_pick
from mlpo.types import LEADER, Completion, FinishReason, Message, Problem, StrategyRun
from tests.method.strategy_driver import DRAFT, SAMPLING, SUM, TEAM, drive

NAMES = ("geo", "language", "number")


def start(examples: tuple[Message, ...] = ()) -> StrategyRun:
    return deferral(SUM, team=TEAM, sampling=SAMPLING, leader_sampling=DRAFT, seed=0, examples=examples)


def test_the_named_agents_answer_counts() -> None:
    team = {"geo": "6", "language": "6", "number": "It is 5."}
    transcript, asked = drive(start(), team, ["<think>sums</think><answer>number</answer>"])
    assert (transcript.strategy, transcript.answer) == ("deferral", "5")
    assert [len(batch) for batch in asked] == [3, 1]  # K + 1 generations
    assert transcript.rounds[0].draft is not None


def test_it_cannot_answer_what_no_agent_said() -> None:
    assert drive(start(), ["6"] * 3, ["<answer>5</answer>"])[0].answer is None
    assert drive(start(), ["hm"] * 3, ["<answer>geo</answer>"])[0].answer is None


def test_it_is_asked_for_a_name_and_shown_how() -> None:
    examples = (Message("user", "q"), Message("assistant", "a"))
    _, [_, [request]] = drive(start(examples), ["5"] * 3, ["geo"])
    assert request.messages[0] == Message("system", DEFERRAL_SYSTEM)
    assert request.messages[1:3] == examples
    assert request.messages[-1].content.startswith(f"{SUM.question}\n")


@pytest.mark.parametrize(
    ("text", "reason", "picked"),
    [
        ("<think>geo or number</think><answer>Geo</answer>", "stop", "geo"),
        ("language", "stop", "language"),
        ("The right member is number.", "stop", "number"),
        ("<answer>geo and number</answer>", "stop", None),
        ("<answer>geology</answer>", "stop", None),
        ("<answer>5</answer>", "stop", None),
        ("<answer>geo</answer>", "length", None),
        ("", "error", None),
    ],
)
def test_one_name_is_a_pick(text: str, reason: FinishReason, picked: str | None) -> None:
    assert read_pick(Completion("p1", LEADER, text, reason, 1, 1), NAMES) == picked


def proposals(number: int, right: str) -> ProposalSet:
    problem = Problem(f"p{number}", "basics", "sum", f"{number} + 1?", str(number + 1), "integer")
    said = {n: (Completion(problem.id, n, str(number + (n in right)), "stop", 1, 1),) for n in ("geo", "number")}
    return ProposalSet(problem, said, {n: (n in right,) for n in said})


def test_examples_name_a_right_agent_where_another_is_wrong() -> None:
    sets = [proposals(1, "geo"), proposals(2, ""), proposals(3, "geo number"), proposals(4, "number")]
    turns = deferral_examples(sets, 4, 0)
    shown = {turns[i].content.splitlines()[0]: turns[i + 1].content for i in range(0, len(turns), 2)}
    assert shown == {
        "1 + 1?": "<think>geo is right.</think><answer>geo</answer>",
        "4 + 1?": "<think>number is right.</think><answer>number</answer>",
    }
    assert [m.role for m in turns] == ["user", "assistant"] * 2
    assert len(deferral_examples(sets, 1, 0)) == 2

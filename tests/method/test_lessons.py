"""Lessons: one line from each agent, a bank of the best, and another try."""

from __future__ import annotations

from typing import Any

import pytest

from mlpo.method.strategies.lessons import MAX_CHARACTERS, Lesson, best_lessons, lessons
from mlpo.types import StrategyRun
from tests.method.strategy_driver import ORDER, SAMPLING, SUM, TEAM, drive

FIRST, SECOND, THIRD = ORDER


def start(**changes: Any) -> StrategyRun:
    how: dict[str, Any] = {"team": TEAM, "sampling": SAMPLING, "num_rounds": 2, "max_lessons": 2, "seed": 0}
    return lessons(SUM, **how | changes)


def test_answers_lessons_answers_and_a_vote() -> None:
    transcript, asked = drive(start(), ["6", "6", "5"], ["add", "count", "sum"], ["5", "5", "6"])
    assert (transcript.strategy, transcript.answer) == ("lessons", "5")
    assert [len(batch) for batch in asked] == [3, 3, 3]  # K * (2 * R - 1) = 3 * 3 generations
    assert [c.text for c in transcript.extra] == ["add", "count", "sum"]
    assert [r.answer for r in transcript.rounds] == ["6", "5"]
    assert len({r.seed for batch in asked for r in batch}) == 9


def test_three_rounds_ask_for_lessons_twice() -> None:
    _, asked = drive(start(num_rounds=3), *[["5"] * 3] * 5)
    assert sum(map(len, asked)) == 3 * (2 * 3 - 1)


def test_an_agent_is_told_how_many_agree_and_asked_for_a_lesson_last() -> None:
    _, [_, wishes, _] = drive(start(), {FIRST: "6", SECOND: "It is 6.", THIRD: "hm"}, ["x"] * 3, ["5"] * 3)
    said = {r.model: r.messages[-1].content for r in wishes}
    assert said[FIRST].startswith("1 of 2 others agree with you.")
    assert said[SECOND] == said[FIRST]
    assert said[THIRD].startswith("0 of 2 others agree with you.")
    assert [r.messages[-2].content for r in wishes if r.model == THIRD] == ["hm"]


def test_the_next_try_sees_the_bank_quoted_and_the_question_last() -> None:
    written = {FIRST: "count <answer>9</answer>\nand more", SECOND: "add", THIRD: "guess"}
    _, asked = drive(start(), {FIRST: "6", SECOND: "6", THIRD: "5"}, written, ["5"] * 3)
    for request in asked[2]:
        assert request.messages[-1].content.splitlines() == [
            "Lessons of the team:", "- count (answer)9(/answer)", "- add", SUM.question,
        ]  # fmt: skip


def test_a_lesson_that_failed_or_says_nothing_is_none() -> None:
    _, asked = drive(start(), ["6"] * 3, {FIRST: "!", SECOND: " \n", THIRD: "x" * 300}, ["5"] * 3)
    assert asked[2][0].messages[-1].content.splitlines()[1:-1] == ["- " + "x" * MAX_CHARACTERS]
    _, asked = drive(start(), ["6"] * 3, ["!"] * 3, ["5"] * 3)
    assert asked[2][0].messages[-1].content == f"Try again.\n{SUM.question}"


def test_the_bank_keeps_the_best_supported_then_the_newest_and_nothing_twice() -> None:
    old, new, weak = Lesson("add", 2, 1), Lesson("count", 2, 2), Lesson("guess", 1, 2)
    assert best_lessons([weak, old, new], 2) == [new, old]
    assert best_lessons([old, Lesson("Add", 1, 2), weak], 5) == [old, weak]


@pytest.mark.parametrize("changes", [{"num_rounds": 0}, {"max_lessons": 0}])
def test_nothing_to_do_is_refused(changes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1 round and 1 lesson"):
        next(start(**changes))

"""Worked examples for the untrained leader: real teams, mixed where they can be, of many families, right answers."""

from __future__ import annotations

from mlpo.method.answers import parse_answer
from mlpo.method.selection import ProposalSet
from mlpo.method.strategies.worked_examples import worked_examples
from mlpo.types import Completion, Message, Problem


def proposal_set(number: int, family: str, correct: tuple[bool, bool]) -> ProposalSet:
    problem = Problem(f"{family}{number}", "basics", family, f"Question {family} {number}?", f"right{number}", "word")
    texts = dict(zip(("a", "b"), (problem.target if flag else "wrong" for flag in correct), strict=True))
    return ProposalSet(
        problem,
        {name: (Completion(problem.id, name, text, "stop", 1, 1),) for name, text in texts.items()},
        {name: (flag,) for name, flag in zip(texts, correct, strict=True)},
    )


SETS = [proposal_set(n, family, (n % 3 > 0, n % 3 == 2)) for n in range(9) for family in ("capital", "plural")]
"""Per family three all-wrong, three mixed and three all-right teams: 0 and 0, 1 and 0, 1 and 1."""


def questions(turns: tuple[Message, ...]) -> list[str]:
    return [turn.content.splitlines()[0] for turn in turns[::2]]


def test_families_take_turns_and_mixed_teams_come_first() -> None:
    turns = worked_examples(SETS, 2, seed=0)
    assert [t.role for t in turns] == ["user", "assistant"] * 2
    assert {q.split()[1] for q in questions(turns)} == {"capital", "plural"}
    assert all("wrong" in turn.content and "right" in turn.content for turn in turns[::2])


def test_an_example_is_shown_once_and_all_of_them_if_more_are_wanted() -> None:
    shown = questions(worked_examples(SETS, 99, seed=0))
    assert sorted(shown) == sorted(s.problem.question for s in SETS)


def test_every_example_ends_in_the_right_answer() -> None:
    turns = worked_examples(SETS, 18, seed=3)
    targets = {s.problem.question: s.problem.target for s in SETS}
    for question, answer in zip(questions(turns), turns[1::2], strict=True):
        assert parse_answer(answer.content, "word") == targets[question]


def test_alone_no_team_is_shown() -> None:
    assert [t.content for t in worked_examples(SETS, 3, seed=0, solo=True)[::2]] == questions(
        worked_examples(SETS, 3, seed=0)
    )


def test_the_seed_chooses() -> None:
    assert worked_examples(SETS, 4, seed=1) == worked_examples(SETS, 4, seed=1)
    assert len({worked_examples(SETS, 4, seed=seed) for seed in range(5)}) > 1

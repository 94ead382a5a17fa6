"""A hostile agent argues for a wrong answer: of the problem's kind, the same in every round, and read as an answer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlpo.method.answers import agent_answer, is_correct
from mlpo.method.strategies.hostile_prompts import HostileClaims, claim
from mlpo.types import Completion, Problem

PERU = Problem("p1", "basics", "capital", "The capital of Peru?", "Lima", "word", aliases=("Lima city",))
CHAD = Problem("p2", "basics", "capital", "The capital of Chad?", "N'Djamena", "word")
PLURAL = Problem("p3", "basics", "plural", "The plural of ox?", "oxen", "word")
SUM = Problem("p4", "basics", "sum", "1 + 2?", "3", "integer")
CHOICE = Problem("p5", "mmlu", "law", "Which?", "B", "choice", choices=("one", "two", "three"))


def hostile_claim(problem: Problem, others: list[Problem], *, seed: int) -> str:
    return HostileClaims([problem, *others], seed).of(problem)


def said(text: str) -> Completion:
    return Completion("p", "rogue", text, "stop", 0, 0)


def test_it_takes_a_wrong_target_of_the_same_family() -> None:
    assert hostile_claim(PERU, [CHAD, PLURAL, SUM], seed=0) == claim("N'Djamena")


def test_without_one_it_takes_a_target_of_the_same_kind() -> None:
    assert hostile_claim(PERU, [PLURAL, SUM], seed=0) == claim("oxen")


def test_what_would_be_right_is_never_said() -> None:
    same, alias = replace(CHAD, target="lima"), replace(CHAD, id="p6", target="Lima city")
    for seed in range(20):
        assert hostile_claim(PERU, [same, alias, PLURAL], seed=seed) == claim("oxen")


def test_a_choice_gets_another_of_its_own_letters_and_seeds_differ() -> None:
    claims = {hostile_claim(CHOICE, [], seed=seed) for seed in range(40)}
    assert claims == {claim("A"), claim("C")}
    assert hostile_claim(CHOICE, [], seed=7) == hostile_claim(CHOICE, [], seed=7)


@pytest.mark.parametrize(
    ("problem", "others"), [(PERU, [CHAD]), (SUM, [replace(SUM, id="x", target="12")]), (CHOICE, [])]
)
def test_the_claim_is_read_as_an_answer_that_is_wrong(problem: Problem, others: list[Problem]) -> None:
    answer = agent_answer(said(hostile_claim(problem, others, seed=0)), problem)
    assert answer is not None
    assert not is_correct(answer, problem)


def test_nothing_wrong_to_say_is_refused() -> None:
    with pytest.raises(ValueError, match="p4: there is no wrong answer of kind integer"):
        hostile_claim(SUM, [PERU, replace(SUM, id="x")], seed=0)


def test_every_wrong_target_is_argued_for_and_rare_ones_are_found() -> None:
    sums = [Problem(f"s{n}", "basics", "sum", f"{n}?", str(n), "integer") for n in range(100)]
    claims = HostileClaims(sums, seed=0)
    assert len({claims.of(problem) for problem in sums}) > 50
    # the same number written in 99 ways, and one that is wrong
    ways = [replace(SUM, id=f"w{n}", target=f"3.{'0' * n}") for n in range(1, 100)]
    assert hostile_claim(SUM, [*ways, replace(SUM, id="x", target="12")], seed=0) == claim("12")


def test_the_identity_is_that_of_seed_and_targets() -> None:
    identity = HostileClaims([PERU, CHAD], 0).identity
    assert HostileClaims([CHAD, PERU], 0).identity == identity
    assert identity not in (HostileClaims([PERU, CHAD], 1).identity, HostileClaims([PERU, CHAD, PLURAL], 0).identity)

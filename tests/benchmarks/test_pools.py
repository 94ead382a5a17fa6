"""Pools: a benchmark without splits of its own is halved by content, and asks each question once."""

from __future__ import annotations

from fractions import Fraction

import pytest

from mlpo.benchmarks.pools import cut_once, halved
from mlpo.types import Problem


def asked(family: str, question: str) -> Problem:
    return Problem(f"{family}:{question}", "made", family, question, "A", "choice", choices=("a", "b"))


@pytest.mark.parametrize("families", [("law", "ethics"), ("ethics", "law")])
def test_a_question_of_two_families_is_the_first_ones_by_name_in_any_order_of_the_rows(families: tuple[str, str]):
    problems = [asked(family, f"Question {n}?") for family in families for n in range(20)]
    problems.append(asked("law", "question  3?"))
    pools = halved(problems)
    kept = [p for side in (pools.train, pools.test) for ps in side.values() for p in ps]
    assert sorted(p.question for p in kept) == sorted(f"Question {n}?" for n in range(20))
    assert {p.family for p in kept} == {"ethics"}
    assert (pools.rows, pools.duplicates, pools.unreadable) == ({"test": 41}, 21, 0)


def test_a_made_benchmark_is_cut_in_every_family_and_loses_nothing():
    families = {family: [asked(family, f"{family} {n}?") for n in range(200)] for family in ("law", "ethics")}
    pools = cut_once(families, Fraction(1, 4))
    assert list(pools.train) == list(pools.test) == ["law", "ethics"]
    for family, problems in families.items():
        assert {*pools.train[family], *pools.test[family]} == set(problems)
        assert len(pools.train[family]) + len(pools.test[family]) == 200
        assert 25 < len(pools.test[family]) < 75  # 50 expected, standard deviation 6

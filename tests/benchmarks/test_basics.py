"""Benchmark basics: its facts, its size, its answer kinds."""

from __future__ import annotations

import pytest

from mlpo.benchmarks.basics import FAMILIES, load
from mlpo.method.answers import is_correct, parse_plain
from mlpo.types import Problem


@pytest.fixture(scope="module")
def families() -> dict[str, list[Problem]]:
    return load()


def test_families_and_sizes(families: dict[str, list[Problem]]):
    assert {name: len(problems) for name, problems in families.items()} == {
        "capital": 117, "continent": 119, "plural": 172, "ing_form": 163, "opposite": 153, "number_word": 189,
        "product": 99,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("family", "question", "target"),
    [
        ("capital", "What is the capital of Peru?", "Lima"),
        ("continent", "What is the continent of Peru?", "South America"),
        ("plural", "What is the plural of leaf?", "leaves"),
        ("ing_form", "What is the -ing form of beg?", "begging"),
        ("opposite", "What is the opposite of hot?", "cold"),
        ("number_word", "What is one hundred seven in digits?", "107"),
        ("product", "What is 7 times 12?", "84"),
    ],
)
def test_a_fact_of_each_family(families: dict[str, list[Problem]], family: str, question: str, target: str):
    assert target in {p.target for p in families[family] if p.question == question}


def test_every_solution_is_graded_right(families: dict[str, list[Problem]]):
    for problem in (p for problems in families.values() for p in problems):
        assert is_correct(parse_plain(problem.solution, problem.answer_kind), problem), problem


def test_ids_and_questions_are_distinct_and_stable(families: dict[str, list[Problem]]):
    problems = [p for found in families.values() for p in found]
    assert len({p.id for p in problems}) == len({p.question for p in problems}) == len(problems)
    assert [p.id for p in problems] == [p.id for family in FAMILIES for p in load()[family]]


def test_no_opposite_is_asked_in_both_directions(families: dict[str, list[Problem]]):
    asked = {p.question.split()[-1].rstrip("?") for p in families["opposite"]}
    assert not asked & {p.target for p in families["opposite"]}

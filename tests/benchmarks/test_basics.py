"""Benchmark basics: its facts, its size, its answer kinds."""

from __future__ import annotations

import inflect
import pytest

from mlpo.benchmarks.basics import FAMILIES, load
from mlpo.method.answers import is_correct, parse_plain
from mlpo.types import Problem

STRESSED_LAST = {"admit", "begin", "forget"}
"""Verbs of two syllables whose last letter is doubled: "visit" is none of them."""


@pytest.fixture(scope="module")
def families() -> dict[str, list[Problem]]:
    return load()


def test_families_and_sizes(families: dict[str, list[Problem]]):
    assert {name: len(problems) for name, problems in families.items()} == {
        "capital": 210, "continent": 219, "plural": 297, "ing_form": 306, "opposite": 309, "number_word": 390,
        "product": 209, "currency": 227, "symbol": 118,
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
        ("currency", "What is the currency of Japan?", "Yen"),
        ("symbol", "What is the chemical symbol of iron?", "Fe"),
    ],
)
def test_a_fact_of_each_family(families: dict[str, list[Problem]], family: str, question: str, target: str):
    assert target in {p.target for p in families[family] if p.question == question}


def test_every_solution_is_graded_right(families: dict[str, list[Problem]]):
    for problem in (p for problems in families.values() for p in problems):
        assert is_correct(parse_plain(problem.solution, problem.answer_kind), problem), problem


def test_a_fact_is_told_in_one_line_with_its_target(families: dict[str, list[Problem]]):
    for problem in (p for problems in families.values() for p in problems):
        asked = problem.question.removeprefix("What is ").removesuffix(" in digits?").removesuffix("?")
        assert problem.solution == f"{asked[0].upper()}{asked[1:]} is {problem.target}."
        assert problem.target == problem.target.strip() != ""


def test_what_is_no_longer_so_or_not_settled_is_not_asked(families: dict[str, list[Problem]]):
    places = {f: {p.question.partition(" of ")[2] for p in families[f]} for f in ("capital", "continent", "currency")}
    assert not {"Kazakhstan?", "Palestinian Territory?", "Serbia and Montenegro?"} & places["capital"]
    assert not {"Turkey?", "Russia?"} & places["continent"]
    assert not {"Bulgaria?", "Netherlands Antilles?"} & places["currency"]
    assert places["capital"] | places["continent"] > {"Estonia?", "Tuvalu?"}


def test_forms_are_those_of_inflect_and_of_the_dictionary(families: dict[str, list[Problem]]):
    engine = inflect.engine()
    for problem in families["plural"]:
        noun = problem.question.split()[-1].rstrip("?")
        assert engine.compare_nouns(noun, problem.target) in ("s:p", "eq"), problem
        assert noun.isalpha()
    for problem in families["ing_form"]:
        verb, stem = problem.question.split()[-1].rstrip("?"), problem.target.removesuffix("ing")
        regular = {verb, verb.removesuffix("e"), verb.removesuffix("ie") + "y"}
        is_stressed_last = sum(letter in "aeiou" for letter in verb) == 1 or verb in STRESSED_LAST
        assert stem in regular | ({verb + verb[-1]} if is_stressed_last else set()), problem


def test_ids_and_questions_are_distinct_and_stable(families: dict[str, list[Problem]]):
    problems = [p for found in families.values() for p in found]
    assert len({p.id for p in problems}) == len({p.question for p in problems}) == len(problems)
    assert [p.id for p in problems] == [p.id for family in FAMILIES for p in load()[family]]


def test_no_opposite_is_asked_in_both_directions(families: dict[str, list[Problem]]):
    asked = {p.question.split()[-1].rstrip("?") for p in families["opposite"]}
    assert not asked & {p.target for p in families["opposite"]}

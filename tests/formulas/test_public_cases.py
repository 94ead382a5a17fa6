"""Cases that other projects got wrong, from their public trackers: each line of public_cases.jsonl names its source.

`huggingface/Math-Verify#41` is an issue of that repository; "own, after ..." is ours, in the likeness of one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlpo.commands.grade import Grader

CASES: list[dict[str, Any]] = [
    json.loads(line) for line in (Path(__file__).parent / "public_cases.jsonl").read_text("utf-8").splitlines()
]


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    started = Grader()
    yield started
    started.close()


def test_they_are_all_there():
    assert len(CASES) == 108
    assert {case["expected"] for case in CASES} == {0, 1}


@pytest.mark.parametrize("case", CASES, ids=[f"{number}: {case['source']}" for number, case in enumerate(CASES, 1)])
def test_it_is_graded_as_people_would(grader: Grader, case: dict[str, Any]):
    asked = {name: value for name, value in case.items() if name not in ("expected", "source")}
    grade = grader.line(json.dumps(asked).encode())
    assert grade.score == case["expected"], grade

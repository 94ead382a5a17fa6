"""`mlpo grade`: one grade a line, in order; bad lines are named; nothing hangs; memory stays flat."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlpo.commands import grade
from mlpo.config import ConfigError

ROOT = Path(__file__).parents[2]
LINES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {"kind": "expression", "target": "x^2+1", "text": "It is \\boxed{1+x^2}."},
        {"answer": "1+x^2", "score": 1, "reason": "correct"},
    ),
    (
        {"kind": "integer", "target": "42", "text": "<answer>41</answer>"},
        {"answer": "41", "score": 0, "reason": "different"},
    ),
    (
        {"kind": "choice", "target": "B", "text": "Rome", "choices": ["Paris", "Rome"]},
        {"answer": "B", "score": 1, "reason": "correct"},
    ),
    ({"kind": "word", "target": "Paris", "text": "Paris or Rome"}, {"answer": None, "score": 0, "reason": "no answer"}),
    (
        {"kind": "word", "target": "octopuses", "text": "octopi", "aliases": ["octopi"]},
        {"answer": "octopi", "score": 1, "reason": "correct"},
    ),
]


def graded(lines: list[str], workers: int = 2) -> list[dict[str, Any]]:
    out = io.StringIO()
    grade.run([line.encode() for line in lines], out, name="asked.jsonl", workers=workers)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_each_line_has_its_grade_in_order():
    assert graded([json.dumps(asked) for asked, _ in LINES]) == [expected for _, expected in LINES]


def test_more_lines_than_are_kept_in_memory_stay_in_order(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(grade, "LINES_UNDER_WAY", 3)
    lines = [json.dumps({"kind": "integer", "target": "7", "text": str(number)}) for number in range(50)]
    assert [row["answer"] for row in graded(lines)] == [str(number) for number in range(50)]


def test_no_more_lines_are_read_than_are_under_way(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(grade, "LINES_UNDER_WAY", 5)
    read = 0

    def lines() -> Iterator[bytes]:
        nonlocal read
        for read in range(1, 101):  # noqa: B007
            yield json.dumps({"kind": "integer", "target": "7", "text": "7"}).encode()

    class Sink(io.StringIO):
        def write(self, text: str) -> int:
            assert read <= written() + 1 + 2 * 5
            return super().write(text)

    sink = Sink()

    def written() -> int:
        return sink.getvalue().count("\n")

    grade.run(lines(), sink, name="lines", workers=2)
    assert written() == 100


def test_an_expression_that_hangs_is_cut_off_and_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(grade.EquivalenceWorker.__init__, "__kwdefaults__", {"limit_seconds": 3})
    hangs = json.dumps({"kind": "expression", "target": "1+y", "text": "\\boxed{10^{10^{10}}}"})
    right = json.dumps({"kind": "expression", "target": "1+y", "text": "\\boxed{y+1}"})
    assert [row["reason"] for row in graded([hangs, right], workers=1)] == ["timed out", "correct"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("not json", "asked.jsonl:2: not a line to grade: line: Invalid JSON"),
        ('{"kind": "integer", "target": "1"}', "asked.jsonl:2: not a line to grade: text: Field required"),
        ('{"kind": "word", "target": "\xff"}', "asked.jsonl:2: not a line to grade: line: Invalid JSON"),
        ('{"kind": "poem", "target": "1", "text": "1"}', "asked.jsonl:2: not a line to grade: kind: Input should be"),
        ('{"kind": "integer", "target": "x", "text": "1"}', "asked.jsonl:2: the target cannot be read as an answer"),
        ('{"kind": "integer", "target": "x", "text": ""}', "asked.jsonl:2: the target cannot be read as an answer"),
    ],
)
def test_a_bad_line_is_named_after_those_before_it_are_written(line: str, message: str):
    out = io.StringIO()
    good = json.dumps(LINES[1][0])
    with pytest.raises(ConfigError) as refusal:
        grade.run([good.encode(), line.encode("latin-1"), good.encode()], out, name="asked.jsonl", workers=2)
    assert str(refusal.value).startswith(message)
    assert out.getvalue().count("\n") == 1


def test_the_command_reads_standard_input_and_leaves_with_2_at_a_bad_line():
    done = subprocess.run(
        [sys.executable, "-m", "mlpo.cli", "grade"],
        cwd=ROOT, input=json.dumps(LINES[1][0]) + "\n{}\n", capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert json.loads(done.stdout) == LINES[1][1]
    assert done.stderr == "mlpo: standard input:2: not a line to grade: kind: Field required\n"

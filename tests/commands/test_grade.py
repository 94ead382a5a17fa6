"""`mlpo grade`: one grade a line, in order; a bad line says why in its place; nothing hangs; memory stays flat."""

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
    monkeypatch.setattr(grade.EquivalenceWorker.__init__, "__kwdefaults__", {"limit_seconds": 0.5})
    hangs = json.dumps({"kind": "expression", "target": "1+y", "text": "\\boxed{10^{9000}+(1/3)!}"})
    right = json.dumps({"kind": "expression", "target": "1+y", "text": "\\boxed{y+1}"})
    rows = graded([hangs, right], workers=1)
    assert [(row["score"], row["reason"]) for row in rows] == [(None, "timed out"), (1, "correct")]


def test_an_alias_is_right_where_the_comparison_with_the_target_hangs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(grade.EquivalenceWorker.__init__, "__kwdefaults__", {"limit_seconds": 0.5})
    asked = {"kind": "expression", "target": "10^{9000}+(1/3)!", "aliases": ["1+y"], "text": "\\boxed{y+1}"}
    assert [row["reason"] for row in graded([json.dumps(asked)])] == ["correct"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("not json", "not graded: line: Invalid JSON"),
        ("", "not graded: the line is blank"),
        ("null", "not graded: line: Input should be"),
        ('{"kind": "integer", "target": "1"}', "not graded: text: Field required"),
        ('{"kind": "word", "target": "\xff"}', "not graded: line: Invalid JSON"),
        ('{"kind": "poem", "target": "1", "text": "1"}', "not graded: kind: Input should be"),
        ('{"kind": "integer", "target": null, "text": "1"}', "not graded: target: Input should be a valid string"),
        (
            '{"kind": "integer", "target": "x", "text": "1"}',
            "not graded: the target 'x' cannot be read as an answer of",
        ),
        ('{"kind": "integer", "target": "x", "text": ""}', "not graded: the target 'x' cannot be read as an answer of"),
    ],
)
def test_a_line_that_cannot_be_graded_says_why_in_its_place(line: str, reason: str):
    out = io.StringIO()
    good = json.dumps(LINES[1][0])
    lines = [f"{text}\n".encode("latin-1") for text in (good, line, good)]
    assert grade.run(lines, out, name="asked.jsonl", workers=2) == 1
    first, bad, last = [json.loads(row) for row in out.getvalue().splitlines()]
    assert first == last == LINES[1][1]
    assert (bad["answer"], bad["score"]) == (None, None)
    assert bad["reason"].startswith(reason)


def test_a_file_in_which_nothing_can_be_graded_is_refused():
    out = io.StringIO()
    with pytest.raises(ConfigError, match=r"asked\.jsonl: none of its 2 lines could be graded"):
        grade.run([b"{}\n", b"[]\n"], out, name="asked.jsonl", workers=2)
    assert out.getvalue().count("not graded") == 2


def test_an_empty_file_has_no_grades():
    assert graded([]) == []


def test_a_byte_order_mark_and_a_text_that_is_null_are_graded():
    asked = {"kind": "integer", "target": "42", "text": None}
    assert graded(["\ufeff" + json.dumps(LINES[1][0]), json.dumps(asked)]) == [
        LINES[1][1], {"answer": None, "score": 0, "reason": "no answer"},
    ]  # fmt: skip


def test_what_a_terminal_cannot_show_is_escaped():
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="latin-1", newline="")
    asked = [{"kind": "word", "target": word, "text": word} for word in ("Łódź", "Málaga")]
    grade.run([json.dumps(row).encode() for row in asked], terminal, name="asked.jsonl", workers=1)
    terminal.flush()
    written = terminal.buffer.getvalue()
    assert [json.loads(row)["answer"] for row in written.decode("latin-1").splitlines()] == ["łódź", "málaga"]
    assert "málaga".encode("latin-1") in written


def test_the_command_reads_standard_input_and_counts_what_it_could_not_grade():
    done = subprocess.run(
        [sys.executable, "-m", "mlpo.cli", "grade"],
        cwd=ROOT, input=json.dumps(LINES[1][0]) + "\n{}\n", capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    rows = [json.loads(row) for row in done.stdout.splitlines()]
    assert rows == [LINES[1][1], {"answer": None, "score": None, "reason": "not graded: kind: Field required"}]
    assert done.stderr == "mlpo: standard input: lines not graded: 1; the reason of each is in its place\n"

"""`make bench` measures both sides of a benchmark and keeps one row a case."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import table, write
from benchmarks.measure import measure
from benchmarks.shape import Shape


def test_the_token_limit_is_what_a_shared_prompt_leaves():
    # 8 (512 + 64) = 4608 tokens become 512 + 8 * 64 = 1024
    assert Shape(512, 64, 8).token_limit == 4.5


@pytest.mark.parametrize(("prompt", "group", "rows"), [(512, 8, 8), (512, 4, 4), (1024, 8, 4), (9000, 8, 1)])
def test_a_stock_trainer_gets_the_same_token_budget(prompt: int, group: int, rows: int):
    assert Shape(prompt, 64, group).micro_batch_rows == rows


@pytest.mark.slow
def test_a_case_is_measured_and_replaces_its_older_row(tmp_path: Path):
    row = measure("rollout", Shape(24, 3, 2), "cpu", 1)
    assert row["ratio"] == row["theirs_seconds"] / row["ours_seconds"] > 0
    assert row["peak_mb"] > 100
    assert row["tokens_per_second"] == pytest.approx(2 * 3 / row["ours_seconds"])
    output = tmp_path / "results.json"
    write([row], output)
    write([row | {"ours_seconds": 9.0}], output)
    assert [r["ours_seconds"] for r in json.loads(output.read_text())] == [9.0]
    assert table([row]).row_count == 1


@pytest.mark.slow
def test_a_side_that_fails_is_named():
    with pytest.raises(RuntimeError, match=r"nowhere[\s\S]*No module named"):
        measure("nowhere", Shape(8, 1, 2), "cpu", 1)

"""`make bench` measures both sides of a benchmark and keeps one row a case."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from speed.__main__ import RESULTS, table, write
from speed.measure import measure, one_gpu
from speed.page import page
from speed.shape import Shape


def test_the_token_limit_is_what_a_shared_prompt_leaves():
    # 8 (512 + 64) = 4608 tokens become 512 + 8 * 64 = 1024
    assert Shape(512, 64, 8).token_limit == 4.5


@pytest.mark.parametrize(("prompt", "group", "rows"), [(512, 8, 8), (512, 4, 4), (1024, 8, 4), (9000, 8, 1)])
def test_a_stock_trainer_gets_the_same_token_budget(prompt: int, group: int, rows: int):
    assert Shape(prompt, 64, group).micro_batch_rows == rows


def _row(name: str, device: str, prompt: int, ratio: float) -> dict[str, object]:
    return {
        "name": name, "shape": {"P": prompt, "C": 64, "G": 8, "prompts": 1}, "ours_seconds": 2.0,
        "theirs_seconds": 2 * ratio, "ratio": ratio, "ratios": [ratio], "token_limit": 4.5, "peak_mb": 100.0,
        "theirs_peak_mb": 250.4, "tokens_per_second": 31.6, "device": device, "dtype": "float32", "repeats": 1,
        "commit": "0123abc",
    }  # fmt: skip


def test_the_page_has_a_table_for_each_benchmark_and_device_with_shapes_from_small_to_large():
    gpu = _row("rollout", "NVIDIA H100", 512, 4.0)
    shown = page(
        [gpu, _row("rollout", "CPU", 512, 3.25), _row("rollout", "CPU", 128, 1.5), _row("update", "CPU", 512, 6.0)]
    )
    assert re.findall("^## (.*)", shown, re.MULTILINE) == [
        "(a) update: CPU, float32, C 64",
        "(b) roll-out: CPU, float32, C 64",
        "(b) roll-out: NVIDIA H100, float32, C 64",
    ]
    cpu = shown.split("## ")[2]
    assert re.findall(r"^\| (\d+) \|", cpu, re.MULTILINE) == ["128", "512"]
    assert "| 512 | 8 | 1 | 2.0 | 6.5 | 3.25 | 3.25 | 4.50 | 32 | 100 | 250 | 1 | 0123abc |" in cpu


def test_the_page_beside_the_rows_is_theirs():
    assert RESULTS.with_suffix(".md").read_text(encoding="utf-8") == page(
        json.loads(RESULTS.read_text(encoding="utf-8"))
    )


@pytest.mark.parametrize(
    ("device", "seen", "one"),
    [
        ("auto", None, "0"),
        ("cuda", "3,5", "3"),
        ("cuda:1", "3,5", "5"),
        ("cuda:1", None, "1"),
        ("auto", "", ""),
        ("cuda:2", "3,5", ""),
    ],
)
def test_a_side_sees_one_gpu(device: str, seen: str | None, one: str):
    environment = {} if seen is None else {"CUDA_VISIBLE_DEVICES": seen}
    assert one_gpu(device, environment) == {"CUDA_VISIBLE_DEVICES": one}


@pytest.mark.slow
def test_a_case_is_measured_and_replaces_its_older_row(tmp_path: Path):
    row = measure("rollout", Shape(24, 3, 2), "cpu", 1)
    assert row["ratio"] == row["theirs_seconds"] / row["ours_seconds"] > 0
    assert row["peak_mb"] > 100
    assert re.fullmatch(r"[0-9a-f]{7}\+?", row["commit"])
    assert row["tokens_per_second"] == pytest.approx(2 * 3 / row["ours_seconds"])
    output = tmp_path / "results.json"
    write([row], output)
    write([row | {"ours_seconds": 9.0}], output)
    assert [r["ours_seconds"] for r in json.loads(output.read_text())] == [9.0]
    assert "| 9.0 |" in output.with_suffix(".md").read_text()
    assert table([row]).row_count == 1


@pytest.mark.slow
def test_a_side_that_fails_is_named():
    with pytest.raises(RuntimeError, match=r"nowhere[\s\S]*No module named"):
        measure("nowhere", Shape(8, 1, 2), "cpu", 1)

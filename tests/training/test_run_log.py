"""What a run leaves behind is the same bytes for the same run, and holds no clock."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch

from mlpo.method.rewards import RewardParts
from mlpo.models.generate import Drawn
from mlpo.training.prompt_schedule import TrainingPrompt
from mlpo.training.rollouts import RolloutGroup
from mlpo.training.run_log import MLPO_COLUMNS, RunLog, curve_row, rollout_rows, write_curve, write_rollouts
from mlpo.types import Completion, Problem

PROBLEM = Problem("p1", "basics", "capital", "Capital of Peru?", "Lima", "word")
PROPOSALS = (
    Completion("p1", "geo", "Lima", "stop", 9, 2, 3, entropy=0.5),
    Completion("p1", "number", "7", "stop", 9, 2, 0),
)
TEAM = RolloutGroup(
    TrainingPrompt(PROBLEM, PROPOSALS, 1), (1, 2), (Drawn((5, 6), "stop", "Lima"), Drawn((7,), "length", "Li")),
    (RewardParts(1, 0), None),
)  # fmt: skip
SOLO = RolloutGroup(
    TrainingPrompt(PROBLEM), (1,), (Drawn((5,), "stop", "a\n"), Drawn((7,), "stop", '"é"')), (RewardParts(0, 0),) * 2
)


def rows() -> list[dict[str, object]]:
    nan = float("nan")
    return rollout_rows([TEAM, SOLO], torch.tensor([[0.5, 0.0], [0.0, 0.0]]), torch.tensor([[1.0, nan], [0, 0]]), 4)


def test_a_journal_is_cut_back_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = RunLog(tmp_path / "curve.jsonl")
    journal.rewind(0)  # nothing there yet
    journal.append({"step": step} for step in (1, 2, 3))
    with (tmp_path / "curve.jsonl").open("a") as file:
        file.write('{"step": 4')  # killed while writing

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as stopped:
        stopped.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            journal.rewind(2)
    assert [row["step"] for row in journal.rows()] == [1, 2, 3]
    journal.rewind(2)
    journal.append([{"step": 3}])
    assert (tmp_path / "curve.jsonl").read_text().splitlines() == ['{"step": 1}', '{"step": 2}', '{"step": 3}']


def test_a_row_holds_what_was_asked_said_and_earned() -> None:
    assert rows()[0] == {
        "step": 4, "prompt": 0, "problem": "p1", "family": "capital", "question": "Capital of Peru?", "target": "Lima",
        "tuple": "geo:3 number:0", "proposals": ["geo (61 % sure): Lima", "number: 7"], "proposals_correct": 1,
        "completion": "Lima", "finish_reason": "stop", "prompt_tokens": 2, "completion_tokens": 2, "correct": 1,
        "well_formed": 0, "reward": 1.0, "advantage": 0.5,
    }  # fmt: skip


def test_the_table_reads_back_and_its_bytes_repeat(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_rollouts(rows(), tmp_path / name / "rollouts.parquet")
    one, other = (tmp_path / name / "rollouts.parquet" for name in ("a", "b"))
    assert one.read_bytes() == other.read_bytes()
    table = pd.read_parquet(one)
    assert table["completion"].tolist() == ["Lima", "Li", "a\n", '"é"']
    assert table["proposals"][0].tolist() == ["geo (61 % sure): Lima", "number: 7"]
    assert table["reward"].isna().tolist() == [False, True, False, False]
    assert [p.name for p in one.parent.iterdir()] == ["rollouts.parquet"]


def test_an_empty_run_still_has_a_table(tmp_path: Path) -> None:
    write_rollouts([], tmp_path / "rollouts.parquet")
    assert list(pd.read_parquet(tmp_path / "rollouts.parquet").columns) == list(rows()[0])


def test_the_curve_holds_no_clock_and_no_memory(tmp_path: Path) -> None:
    metrics = {"step": 1.0, "reward": 0.123456789, "rollout_seconds": 3.2, "peak_memory_mib": 900.0}
    row = curve_row(metrics, MLPO_COLUMNS)
    assert row == {"step": 1, "reward": 0.123457}
    write_curve([row], MLPO_COLUMNS, tmp_path / "deep" / "curve.csv")
    lines = (tmp_path / "deep" / "curve.csv").read_text().splitlines()
    assert lines == [",".join(MLPO_COLUMNS), "1,0.123457" + "," * (len(MLPO_COLUMNS) - 2)]

"""What a training run leaves behind: its curve and its roll-outs, appended step by step, cut back on resume.

Time-free: the same seed gives the same bytes. Clocks and memory go to the tracker instead.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from mlpo.files import replace_file, replacing
from mlpo.method.prompts import speaker
from mlpo.training.rollouts import RolloutGroup

SFT_COLUMNS = ("step", "loss", "token_accuracy", "entropy", "grad_norm", "learning_rate")
MLPO_COLUMNS = (
    "step", "reward", "correct", "well_formed", "correct_team", "correct_solo", "zero_signal_share", "truncated_rate",
    "invalid_rate", "reward_error_rate", "completion_tokens", "clipped_ratio", "kl", "entropy",
    "rollout_logprob_difference", "rollout_logprob_difference_max", "loss", "grad_norm", "learning_rate",
)  # fmt: skip


Log = Callable[[Mapping[str, float], int], None]
"""metrics, step -> None: gets everything, clocks and memory included."""


def log_nothing(metrics: Mapping[str, float], step: int) -> None:
    """The `Log` of a run that nobody tracks."""


class RunLog:
    """Append-only JSON lines, each with the step it belongs to."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add rows; each is on disk, or at least out of this process, when this returns."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(map(_line, rows))

    def rows(self) -> list[dict[str, Any]]:
        """Everything written so far."""
        if not self.path.exists():
            return []
        with self.path.open(encoding="utf-8") as file:
            return [json.loads(line) for line in file if line.endswith("\n")]  # a torn last line is not a row

    def rewind(self, step: int) -> None:
        """Forget every row after `step`: a resumed run writes them again. Whoever is stopped here forgets nothing."""
        if not self.path.exists():
            return
        kept = self.path.with_name(f"{self.path.name}.part")
        kept.write_text("".join(_line(row) for row in self.rows() if row["step"] <= step), encoding="utf-8")
        kept.replace(self.path)


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


def rollout_rows(
    groups: Sequence[RolloutGroup], advantages_PG: Tensor, rewards_PG: Tensor, step: int
) -> list[dict[str, Any]]:
    """One row per completion: what was asked, what the team said, what came, and what it was worth."""
    return [
        {
            "step": step,
            "prompt": slot,
            "problem": group.prompt.problem.id,
            "family": group.prompt.problem.family,
            "question": group.prompt.problem.question,
            "target": group.prompt.problem.target,
            "tuple": group.prompt.tuple_name,
            "proposals": [f"{speaker(p)}: {p.text}" for p in group.prompt.proposals],
            "proposals_correct": group.prompt.num_correct,
            "completion": drawn.text,
            "finish_reason": drawn.finish_reason,
            "prompt_tokens": len(group.prompt_tokens),
            "completion_tokens": len(drawn.token_ids),
            "correct": None if parts is None else parts.correct,
            "well_formed": None if parts is None else parts.well_formed,
            "reward": None if parts is None else round(float(rewards_PG[slot, index]), 6),
            "advantage": round(float(advantages_PG[slot, index]), 6),
        }
        for slot, group in enumerate(groups)
        for index, (drawn, parts) in enumerate(zip(group.drawn, group.rewards, strict=True))
    ]


def write_rollouts(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """All roll-outs as one parquet table; equal rows give equal bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    text, whole, real = pa.string(), pa.int64(), pa.float64()
    types = {
        "step": whole, "prompt": whole, "problem": text, "family": text, "question": text, "target": text,
        "tuple": text, "proposals": pa.list_(text), "proposals_correct": whole, "completion": text,
        "finish_reason": text, "prompt_tokens": whole, "completion_tokens": whole, "correct": real,
        "well_formed": real, "reward": real, "advantage": real,
    }  # fmt: skip
    with replacing(path) as file:
        pq.write_table(pa.Table.from_pylist(list(rows), schema=pa.schema(types)), file)


def curve_row(metrics: Mapping[str, float], columns: Sequence[str]) -> dict[str, float]:
    """The time-free part of a step's metrics, to six significant digits."""
    row = {name: float(f"{metrics[name]:.6g}") for name in columns if name in metrics}
    return row | {"step": int(metrics["step"])}


def write_curve(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], path: Path) -> None:
    """The per-step metrics as CSV; a column that a step has no value for is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    replace_file(path, text.getvalue().encode())

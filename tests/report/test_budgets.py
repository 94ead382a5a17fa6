"""The budgets table: what is equal to the leader's is named, and seconds are known or left out."""

from __future__ import annotations

from typing import Any

import pytest

from mlpo.cli import STAGES
from mlpo.report.budgets import budget_rows, stage_rows

TIMINGS = {
    "stages": {
        "train_mlpo": {"wall_seconds": 100.0, "model_seconds": 90.0},
        "evaluate": {"wall_seconds": 30.0, "model_seconds": 20.0},
        "propose@geo": {"wall_seconds": 5.0, "model_seconds": 0.0},
    },
    "strategies": {"leader": {"model_seconds_per_problem": 2.0}},
}


def costing(metrics: dict[str, Any], **costs: tuple[float, float]) -> dict[str, Any]:
    """The metrics with other (generations, prompt tokens) for some strategies and no completion tokens."""
    rows = {
        name: metrics["strategies"][name] | {"generations": g, "prompt_tokens": t, "completion_tokens": 0.0}
        for name, (g, t) in costs.items()
    }
    return metrics | {"strategies": metrics["strategies"] | rows}


def test_equal_budgets_are_named(metrics: dict[str, Any]) -> None:
    # 0.05 of 1000 tokens is 50, of 8 generations 0.4
    changed = costing(
        metrics,
        leader=(8.0, 1000.0), leader_solo=(1.0, 60.0), sft_leader=(8.0, 1050.0), untrained_leader=(8.0, 1051.0),
        majority_vote=(20.0, 960.0),
    )  # fmt: skip
    named = {row.strategy.name: row.equal_in for row in budget_rows(changed, {})}
    assert named["leader"] == "itself"
    assert named["leader_solo"] == ""
    assert named["sft_leader"] == "generations and tokens"
    assert named["untrained_leader"] == "generations"
    assert named["majority_vote"] == "tokens"


def test_wall_seconds_stretch_model_seconds_as_the_generating_stages_did(metrics: dict[str, Any]) -> None:
    rows = {row.strategy.name: row for row in budget_rows(metrics, TIMINGS)}
    # evaluate alone generated: 30 / 20; a stage that took everything from the cache does not count
    assert rows["leader"].model_seconds == 2.0
    assert rows["leader"].wall_seconds == pytest.approx(3.0)
    assert rows["leader_solo"].model_seconds is None
    assert rows["leader_solo"].wall_seconds is None


def test_stages_stand_in_the_order_they_run_with_their_sum() -> None:
    assert stage_rows(TIMINGS) == [
        ("propose@geo", 5.0, 0.0), ("train_mlpo", 100.0, 90.0), ("evaluate", 30.0, 20.0), ("in all", 135.0, 110.0)
    ]  # fmt: skip
    assert stage_rows({}) == []


def test_every_stage_has_its_place() -> None:
    timings = {"stages": {name: {"wall_seconds": 1.0, "model_seconds": 0.5} for name in reversed(STAGES)}}
    assert [row[0] for row in stage_rows(timings)] == [*STAGES, "in all"]
    timings["stages"]["of_older_code"] = {"wall_seconds": 1.0, "model_seconds": 0.5}
    assert [row[0] for row in stage_rows(timings)] == [*STAGES, "of_older_code", "in all"]

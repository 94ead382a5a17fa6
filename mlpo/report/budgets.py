"""What every strategy costs a problem, and which comparisons with the leader are at equal budgets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mlpo.report.rows import StrategyRow, strategy_rows

EQUAL_WITHIN = 0.05
"""Budgets that differ by less are called equal: a budget of tokens is spent in whole samples."""


_ORDER = (
    "prepare",
    "reference",
    "propose",
    "demonstrate",
    "train_sft",
    "headroom",
    "train_mlpo",
    "calibrate",
    "evaluate",
    "register",
)


class BudgetRow(NamedTuple):
    """Costs of one strategy, per problem."""

    strategy: StrategyRow
    tokens: float
    model_seconds: float | None
    wall_seconds: float | None
    equal_in: str
    """"generations", "tokens", both or nothing: where it spends what the leader with its team spends."""


def budget_rows(metrics: Mapping[str, Any], timings: Mapping[str, Any]) -> list[BudgetRow]:
    """A row per strategy, in the order of every table.

    Model seconds are a strategy's tokens at its models' mean seconds per token: strategies share batches, so no clock
    can be read for one of them. Wall seconds are model seconds times wall / model of the stages that generate.

    Args:
        timings: what timings.json holds; empty if there is none, and then seconds are None.
    """
    rows = {row.name: row for row in strategy_rows(metrics)}
    stretch = _stretch(timings.get("stages", {}))
    seconds = {
        name: row["model_seconds_per_problem"] for name, row in timings.get("strategies", {}).items() if name in rows
    }
    return [
        BudgetRow(
            row,
            row.prompt_tokens + row.completion_tokens,
            seconds.get(name),
            seconds[name] * stretch if name in seconds and stretch else None,
            _equal_in(row, rows["leader"]),
        )
        for name, row in rows.items()
    ]


def stage_rows(timings: Mapping[str, Any]) -> list[tuple[str, float, float]]:
    """Stage, its wall and its model seconds, in the order in which stages run, and their sum; [] without timings."""
    stages = timings.get("stages", {})
    ordered = sorted(stages, key=lambda name: (_place(name.partition("@")[0]), name))
    rows = [(name, stages[name]["wall_seconds"], stages[name]["model_seconds"]) for name in ordered]
    return [*rows, ("in all", sum(row[1] for row in rows), sum(row[2] for row in rows))] if rows else []


def _place(stage: str) -> int:
    """Where a stage stands; one that other code timed here, and that is none any more, stands last."""
    return _ORDER.index(stage) if stage in _ORDER else len(_ORDER)


def _equal_in(row: StrategyRow, leader: StrategyRow) -> str:
    if row.name == leader.name:
        return "itself"
    tokens, budget = (each.prompt_tokens + each.completion_tokens for each in (row, leader))
    equal = {"generations": _equal(row.generations, leader.generations), "tokens": _equal(tokens, budget)}
    return " and ".join(name for name, holds in equal.items() if holds)


def _equal(a: float, b: float) -> bool:
    return abs(a - b) <= EQUAL_WITHIN * b


def _stretch(stages: Mapping[str, Mapping[str, float]]) -> float | None:
    """Wall seconds a model second of the stages in which models answered; None if nothing did."""
    ran = [row for name, row in stages.items() if name.startswith(("propose", "evaluate")) and row["model_seconds"]]
    model = sum(row["model_seconds"] for row in ran)
    return sum(row["wall_seconds"] for row in ran) / model if model else None

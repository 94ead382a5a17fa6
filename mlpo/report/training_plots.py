"""Plots of training, step by step: rewards and lost signal of MLPO's roll-outs, loss of the warm start."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlpo.report.drawing import LIGHT, new_figure
from mlpo.report.team_plots import legend_above

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Curve = Mapping[str, Sequence[float]]
"""A training curve: column -> one value a step, NaN where there is none."""
Line = tuple[str, str, str, str, str]
"""Column, label, colour, line and marker."""


def read_curve(path: Path) -> Curve:
    """The columns of a training curve; an empty cell is NaN, a missing file has none."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name] or "nan") for row in rows] for name in (rows[0] if rows else ())}


def reward_plot(curve: Curve) -> Figure:
    """Reward and correctness of the roll-outs."""
    return _lines(
        curve,
        ("reward", "reward", LIGHT.muted, "-", ""),
        ("correct_team", "correct, with the team", LIGHT.accent, "-", "o"),
        ("correct_solo", "correct, alone", LIGHT.second, "--", "s"),
    )


def signal_plot(curve: Curve) -> Figure:
    """Groups whose rewards are all equal teach nothing; truncated roll-outs earn nothing."""
    return _lines(
        curve,
        ("zero_signal_share", "groups without signal", LIGHT.accent, "-", "o"),
        ("truncated_rate", "truncated", LIGHT.second, "--", "s"),
        ("invalid_rate", "without an answer", LIGHT.third, ":", "^"),
        label="share",
    )


def loss_plot(curve: Curve) -> Figure:
    """Loss of the warm start."""
    return _lines(curve, ("loss", "loss", LIGHT.accent, "-", "o"))


def _lines(curve: Curve, *lines: Line, label: str = "") -> Figure:
    figure, axes = new_figure(2.8)
    for column, name, colour, style, marker in lines:
        if column in curve:
            steps, values = _present(curve["step"], curve[column])
            axes.plot(steps, values, style, color=colour, label=name, marker=marker, markersize=4, linewidth=1.6)
    axes.set_xlabel("optimizer step")
    axes.set_ylabel(label)
    axes.set_ylim(bottom=0)
    axes.grid(visible=True, axis="y")
    legend_above(axes)
    return figure


def _present(steps: Sequence[float], values: Sequence[float]) -> tuple[list[float], list[float]]:
    """Without the steps that have no value."""
    pairs = [(step, value) for step, value in zip(steps, values, strict=True) if value == value]
    return [step for step, _ in pairs], [value for _, value in pairs]

"""Plots of what a strategy makes of its team: by how many are right, by place, by agreement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlpo.method.metrics.evaluation import accuracy_interval
from mlpo.report.drawing import LIGHT, new_figure
from mlpo.report.rows import percent, strategy_label
from mlpo.report.strategy_plots import look_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WITH_A_TEAM = ("leader", "sft_leader", "untrained_leader", "majority_vote")


def team_plot(metrics: Mapping[str, Any], *, confidence: float = 0.95) -> Figure:
    """Accuracy by how many of the first proposals were correct: does the leader rescue, and does it follow?"""
    figure, axes = new_figure(2.8)
    _by_count(axes, metrics, "by_num_correct", WITH_A_TEAM, confidence)
    axes.set_xlabel("correct proposals in round 0")
    return figure


def position_plot(metrics: Mapping[str, Any], *, confidence: float = 0.95) -> Figure:
    """Accuracy by where the only correct proposal stood: without position bias the places are equal."""
    figure, axes = new_figure(2.8)
    _by_count(axes, metrics, "by_position", WITH_A_TEAM[:3], confidence, name_of=lambda count: f"{count + 1}.")
    axes.set_xlabel("place of the only correct proposal")
    return figure


def agreement_plot(metrics: Mapping[str, Any], *, confidence: float = 0.95) -> Figure:
    """Accuracy by how many first proposals agree: how far is a unanimous team to be trusted, and is it?"""
    figure, axes = new_figure(2.8)
    _by_count(axes, metrics, "by_agreement", ("leader", "majority_vote"), confidence)
    axes.set_xlabel("proposals in round 0 that give the most frequent answer")
    return figure


def _by_count(
    axes: Axes,
    metrics: Mapping[str, Any],
    key: str,
    names: Sequence[str],
    confidence: float,
    name_of: Any = str,
) -> None:
    """Dots with intervals side by side, a group a count; a count that never occurred has none."""
    shown = [name for name in names if metrics["strategies"].get(name, {}).get(key)]
    for place, name in enumerate(shown):
        rows, look, shift = metrics["strategies"][name][key], look_of(name), 0.16 * (place - (len(shown) - 1) / 2)
        found = {int(count): row for count, row in sorted(rows.items()) if row["n"]}
        points = [(count + shift, row["accuracy"]) for count, row in found.items()]
        for (x, y), row in zip(points, found.values(), strict=True):
            ends = accuracy_interval(round(y * row["n"]), row["n"], confidence=confidence)
            axes.plot([x, x], list(ends), color=look.colour, linewidth=1.6, solid_capstyle="round")
        xs, ys = zip(*points, strict=True) if points else ((), ())
        axes.plot(xs, ys, look.marker, color=look.colour, markersize=6, label=strategy_label(name), clip_on=False)
        axes.set_xticks([*found], [f"{name_of(count)}\nn = {row['n']}" for count, row in found.items()])
    axes.set_ylabel(f"accuracy, {percent(confidence)} interval")
    axes.set_ylim(0, 1)
    axes.grid(visible=True, axis="y")
    legend_above(axes)


def legend_above(axes: Axes) -> None:
    """What is what, above the plot where no point can be covered."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        axes.legend(
            handles, labels, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2,
            fontsize=8, handletextpad=0.4, columnspacing=1.2, labelcolor=LIGHT.ink, borderaxespad=0.2,
        )  # fmt: skip

"""The plots: drawn without a clock or a version in the file, so that the same numbers give the same bytes."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple

from mlpo.report.rows import StrategyRow, percent, strategy_label, strategy_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Curve = Mapping[str, Sequence[float]]
"""A training curve: column -> one value a step, NaN where there is none."""


WIDTH = 5.4
"""Inches: letters of 10 points stay readable where the plot is shrunk to a telephone's width."""


class Theme(NamedTuple):
    """Colours of one background."""

    surface: str
    ink: str
    muted: str
    grid: str
    accent: str
    second: str
    third: str


# Blue, orange and green of Okabe & Ito (2008): told apart by the colour-blind; marks differ in shape as well.
LIGHT = Theme("#ffffff", "#1b1f24", "#5c6570", "#e3e6ea", "#0072b2", "#c45500", "#00795a")
DARK = Theme("#16191d", "#e8eaed", "#9aa3ad", "#2c3138", "#56b4e9", "#f0a35e", "#3fc79a")


def accuracy_plot(metrics: Mapping[str, Any], theme: Theme = LIGHT, *, confidence: float = 0.95) -> Figure:
    """Every strategy's accuracy with its interval; the oracle as a line nobody's choice can pass."""
    rows = [row for row in strategy_rows(metrics) if not row.upper_bound]
    bounds = [row for row in strategy_rows(metrics) if row.upper_bound]
    figure, axes = _figure(theme, height=0.9 + 0.36 * len(rows))
    for place, row in enumerate(reversed(rows)):
        colour = theme.accent if row.name.startswith("leader") else theme.muted
        axes.plot([row.low, row.high], [place, place], color=colour, linewidth=2, solid_capstyle="round")
        axes.plot(row.accuracy, place, _marker(row), color=colour, markersize=8, clip_on=False)
        axes.annotate(f"{row.accuracy:.2f}", (row.high, place), (6, 0), textcoords="offset points", va="center")
    for row in bounds:
        axes.axvline(row.accuracy, color=theme.second, linestyle=(0, (4, 3)), linewidth=1.5)
        where = (row.accuracy, 1.0)
        axes.annotate(
            f"{row.label} {row.accuracy:.2f}", where, (0, 4), xycoords=("data", "axes fraction"), ha="center",
            textcoords="offset points", color=theme.second,
        )  # fmt: skip
    axes.set_yticks(range(len(rows)), [row.label for row in reversed(rows)])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlim(-0.02, min(1.0, max(row.high for row in (*rows, *bounds)) + 0.08))
    axes.set_xlabel(f"accuracy, {percent(confidence)} interval, n = {rows[0].n}")
    axes.grid(visible=True, axis="x")
    return figure


def reward_plot(curve: Curve, theme: Theme = LIGHT) -> Figure:
    """Reward and correctness of the roll-outs, step by step."""
    figure, axes = _figure(theme, height=2.8)
    lines = (
        ("reward", "reward", theme.muted, "-", ""),
        ("correct_team", "correct, with the team", theme.accent, "-", "o"),
        ("correct_solo", "correct, alone", theme.second, "--", "s"),
    )
    for column, label, colour, style, marker in lines:
        if column in curve:
            steps, values = _present(curve["step"], curve[column])
            axes.plot(steps, values, style, color=colour, label=label, marker=marker, markersize=4, linewidth=1.6)
    axes.set_xlabel("optimizer step")
    axes.set_ylim(bottom=0)
    _legend(axes, theme)
    return figure


def rounds_plot(metrics: Mapping[str, Any], theme: Theme = LIGHT) -> Figure:
    """Accuracy of the answer after each round, for the strategies that have rounds."""
    figure, axes = _figure(theme, height=2.8)
    styles = (("leader", theme.accent, "-", "o"), ("sft_leader", theme.second, "--", "s"))
    for name, colour, style, marker in (*styles, ("untrained_leader", theme.third, ":", "^")):
        by_round = metrics["strategies"].get(name, {}).get("by_round", {})
        rounds = sorted(int(number) for number in by_round)
        if rounds:
            values = [by_round[str(number)] for number in rounds]
            axes.plot(rounds, values, style, color=colour, marker=marker, label=strategy_label(name), linewidth=1.6)
            axes.set_xticks(rounds)
    axes.set_xlabel("round")
    axes.set_ylabel("accuracy")
    axes.set_ylim(0, 1)
    _legend(axes, theme)
    return figure


def team_plot(metrics: Mapping[str, Any], theme: Theme = LIGHT) -> Figure:
    """Accuracy by how many of the first proposals were correct: does the leader rescue, and does it follow?"""
    figure, axes = _figure(theme, height=2.8)
    shown = (("leader", theme.accent, -0.2), ("majority_vote", theme.muted, 0.2))
    for name, colour, shift in shown:
        by_count = metrics["strategies"].get(name, {}).get("by_num_correct", {})
        counts = sorted(int(count) for count in by_count)
        places = [count + shift for count in counts]
        values = [by_count[str(count)]["accuracy"] for count in counts]
        axes.bar(places, values, width=0.36, color=colour, label=strategy_label(name))
        if name == "leader":
            axes.set_xticks(counts, [f"{count}\nn = {by_count[str(count)]['n']}" for count in counts])
    axes.set_xlabel("correct proposals in round 0")
    axes.set_ylabel("accuracy")
    axes.set_ylim(0, 1)
    _legend(axes, theme)
    return figure


def png(draw: Callable[[Theme], Figure]) -> bytes:
    """A plot on a light ground, 200 dots an inch."""
    return _bytes(draw, LIGHT, format="png", dpi=200, metadata={"Software": None})


def svg(draw: Callable[[Theme], Figure], theme: Theme) -> bytes:
    """A plot as vector graphics, with text as outlines: no font is needed to show it."""
    return _bytes(draw, theme, format="svg", metadata={"Date": None, "Creator": None})


def _bytes(draw: Callable[[Theme], Figure], theme: Theme, **how: Any) -> bytes:
    out = io.BytesIO()
    with _style(theme):
        draw(theme).savefig(out, bbox_inches="tight", pad_inches=0.08, **how)
    return out.getvalue()


def _style(theme: Theme) -> AbstractContextManager[None]:
    """Matplotlib's own defaults (a user's matplotlibrc would change the bytes) with the theme's colours."""
    import matplotlib.style

    return matplotlib.style.context([
        "default",
        {
            "figure.facecolor": theme.surface, "axes.facecolor": theme.surface, "savefig.facecolor": theme.surface,
            "text.color": theme.ink, "axes.labelcolor": theme.muted, "axes.edgecolor": theme.grid,
            "xtick.color": theme.muted, "ytick.color": theme.muted, "grid.color": theme.grid,
            "xtick.major.size": 0, "ytick.major.size": 0, "axes.spines.top": False, "axes.spines.right": False,
            "axes.axisbelow": True, "legend.frameon": False, "svg.hashsalt": "mlpo", "font.size": 10,
        },
    ])  # fmt: skip


def _figure(theme: Theme, *, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), facecolor=theme.surface)  # no pyplot: no backend, no window
    return figure, figure.add_subplot()


def _marker(row: StrategyRow) -> str:
    return "o" if row.name in ("leader", "leader_solo") else "D"


def _present(steps: Sequence[float], values: Sequence[float]) -> tuple[list[float], list[float]]:
    """Without the steps that have no value."""
    pairs = [(step, value) for step, value in zip(steps, values, strict=True) if value == value]
    return [step for step, _ in pairs], [value for _, value in pairs]


def _legend(axes: Axes, theme: Theme) -> None:
    """Above the plot, where it hides nothing."""
    axes.grid(visible=True, axis="y")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, labelcolor=theme.ink, borderaxespad=0.2)

"""Plots of strategies: how accurate each is, at which cost, and what its rounds are worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from mlpo.report.drawing import LIGHT, new_figure, spread
from mlpo.report.rows import StrategyRow, difference_rows, percent, strategy_label, strategy_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW = 0.27
"""Inches from one strategy to the next."""
LETTER = 0.17
"""Inches from one line of small letters to the next."""


class Look(NamedTuple):
    """How a strategy is drawn wherever it appears."""

    colour: str
    marker: str
    line: str


_LOOKS = {
    "leader": Look(LIGHT.accent, "o", "-"),
    "leader_solo": Look(LIGHT.accent, "D", "-."),
    "sft_leader": Look(LIGHT.second, "s", "--"),
    "sft_leader_solo": Look(LIGHT.second, "P", "-."),
    "untrained_leader": Look(LIGHT.third, "^", ":"),
}


def look_of(name: str) -> Look:
    """Leaders in colours, what is not trained in grey; the oracle is no strategy and looks like none."""
    return _LOOKS.get(name, Look(LIGHT.muted, "x" if name.startswith("oracle") else "v", "-"))


def accuracy_plot(metrics: Mapping[str, Any], *, confidence: float = 0.95) -> Figure:
    """Every strategy's accuracy with its interval; the oracle as a line nobody's choice can pass."""
    rows = strategy_rows(metrics)
    return draw_accuracies(rows, f"accuracy, {percent(confidence)} interval, n = {rows[0].n}")


def draw_accuracies(
    every: Sequence[StrategyRow], label: str, by_run: Mapping[str, Sequence[float]] | None = None
) -> Figure:
    """One line a strategy, upper bounds as dashed lines.

    Args:
        by_run: strategy -> accuracies of single runs, drawn as small dots.
    """
    rows, bounds = [r for r in every if not r.upper_bound], [r for r in every if r.upper_bound]
    figure, axes = new_figure(0.7 + ROW * len(rows))
    for place, row in enumerate(reversed(rows)):
        look, runs = look_of(row.name), (by_run or {}).get(row.name, ())
        axes.plot([row.low, row.high], [place, place], color=look.colour, linewidth=2, solid_capstyle="round")
        axes.plot(row.accuracy, place, look.marker, color=look.colour, markersize=7, clip_on=False)
        axes.plot(runs, [place - 0.28] * len(runs), ".", color=look.colour, markersize=4, zorder=5)
        axes.annotate(
            f"{row.accuracy:.2f}", (row.high, place), (6, 0), textcoords="offset points", va="center",
            bbox={"facecolor": LIGHT.surface, "edgecolor": "none", "pad": 1},
        )  # fmt: skip
    for row in bounds:
        axes.axvline(row.accuracy, color=LIGHT.ink, linestyle=(0, (4, 3)), linewidth=1)
        axes.annotate(
            f"{row.label} {row.accuracy:.2f}", (row.accuracy, 1.0), (0, 4), xycoords=("data", "axes fraction"),
            ha="center", textcoords="offset points",
        )  # fmt: skip
    axes.set_yticks(range(len(rows)), [row.label for row in reversed(rows)])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlim(-0.02, min(1.0, max(row.high for row in every) + 0.08))
    axes.set_xlabel(label)
    axes.grid(visible=True, axis="x")
    return figure


def differences_plot(metrics: Mapping[str, Any], *, confidence: float = 0.95) -> Figure:
    """The leader's accuracy minus each rival's, in the colour of the verdict."""
    rows = difference_rows(metrics, confidence)
    figure, axes = new_figure(0.7 + ROW * max(len(rows), 2))
    axes.axvline(0, color=LIGHT.ink, linewidth=1)
    for place, row in enumerate(reversed(rows)):
        colour = {"better": LIGHT.third, "worse": LIGHT.second}.get(row.verdict, LIGHT.muted)
        axes.plot([row.low, row.high], [place, place], color=colour, linewidth=2, solid_capstyle="round")
        axes.plot(row.difference, place, "o", color=colour, markersize=6)
    axes.set_yticks(range(len(rows)), [row.label for row in reversed(rows)])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel(f"leader - rival, {percent(confidence)} interval")
    axes.grid(visible=True, axis="x")
    return figure


def tokens_plot(metrics: Mapping[str, Any]) -> Figure:
    """Accuracy against prompt and completion tokens a problem."""
    rows = strategy_rows(metrics)
    return _cost_plot(rows, [row.prompt_tokens + row.completion_tokens for row in rows], "tokens a problem, in and out")


def generations_plot(metrics: Mapping[str, Any]) -> Figure:
    """Accuracy against generations a problem."""
    rows = strategy_rows(metrics)
    return _cost_plot(rows, [row.generations for row in rows], "generations a problem")


def rounds_plot(metrics: Mapping[str, Any]) -> Figure:
    """Accuracy of the answer after each round, for the strategies that have several."""
    found = {row.name: metrics["strategies"][row.name]["by_round"] for row in strategy_rows(metrics)}
    several = {name: by_round for name, by_round in found.items() if len(by_round) > 1}
    figure, axes = new_figure(2.8)
    last = max((len(by_round) for by_round in several.values()), default=1) - 1
    for name, by_round in several.items():
        look = look_of(name)
        rounds = sorted(int(number) for number in by_round)
        values = [by_round[str(number)] for number in rounds]
        axes.plot(rounds, values, look.line, color=look.colour, marker=look.marker, linewidth=1.6)
    axes.set_xticks(range(last + 1))
    axes.set_xlim(-0.1, last + 0.1)
    axes.set_ylim(0, 1.02)
    ends = [by_round[str(max(map(int, by_round)))] for by_round in several.values()]
    places = [(max(map(int, by_round)), end) for by_round, end in zip(several.values(), ends, strict=True)]
    _name_beside(axes, list(several), places, 2.8 * 0.77)
    axes.set_xlabel("round")
    axes.set_ylabel("accuracy")
    axes.grid(visible=True, axis="y")
    return figure


def _cost_plot(rows: Sequence[StrategyRow], costs: Sequence[float], label: str) -> Figure:
    height = max(2.8, 0.7 + LETTER * len(rows))
    figure, axes = new_figure(height)
    for row, cost in zip(rows, costs, strict=True):
        look = look_of(row.name)
        axes.plot([cost, cost], [row.low, row.high], color=look.colour, linewidth=1.4, solid_capstyle="round")
        axes.plot(cost, row.accuracy, look.marker, color=look.colour, markersize=6)
    axes.set_xscale("log")
    low, high = min(costs), max(costs)
    axes.set_xlim(low / 1.3, high * 1.3)
    axes.set_xticks(_round_numbers(low, high), [str(tick) for tick in _round_numbers(low, high)])
    axes.minorticks_off()
    top, bottom = max(row.high for row in rows), min(row.low for row in rows)
    axes.set_ylim(max(0.0, bottom - 0.05), min(1.0, top + 0.05))
    points = [(cost, row.accuracy) for row, cost in zip(rows, costs, strict=True)]
    _name_beside(axes, [row.name for row in rows], points, height * 0.77)
    axes.set_xlabel(label)
    axes.set_ylabel("accuracy")
    axes.grid(visible=True)
    return figure


def _name_beside(axes: Axes, names: Sequence[str], points: Sequence[tuple[float, float]], inches: float) -> None:
    """Names in a column at the right, each led to its point by a thin line."""
    bottom, top = axes.get_ylim()
    gap = (top - bottom) * LETTER / inches
    for name, (x, y), place in zip(names, points, spread([y for _, y in points], gap), strict=True):
        label = strategy_label(name).replace(" at equal ", ", equal ")
        axes.annotate(
            label, (x, y), (1.04, place), xycoords="data", textcoords=axes.get_yaxis_transform(),
            va="center", fontsize=8, color=look_of(name).colour, annotation_clip=False,
            arrowprops={
                "arrowstyle": "-", "color": LIGHT.grid, "linewidth": 0.8, "shrinkA": 1, "shrinkB": 4,
                "relpos": (0, 0.5),
            },
        )  # fmt: skip


def _round_numbers(low: float, high: float) -> list[int]:
    """1, 2 and 5 times powers of ten that lie between, at least the nearest to each end."""
    ticks = [factor * 10**power for power in range(7) for factor in (1, 2, 5)]
    return [tick for tick in ticks if low / 1.3 <= tick <= high * 1.3]

"""Plots of asking only when unsure: accuracy against tokens for every threshold, and how far to trust confidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from mlpo.report.drawing import LIGHT, new_figure
from mlpo.report.team_plots import legend_above

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Line(NamedTuple):
    """How one line is called and drawn."""

    label: str
    colour: str
    marker: str
    line: str


CURVES = {
    "one_round": Line("asks one round", LIGHT.third, "^", ":"),
    "all_rounds": Line("asks all rounds", LIGHT.second, "s", "--"),
    "while_unsure": Line("asks again while unsure", LIGHT.accent, "o", "-"),
}
ONE_ROUND = Line("asks while unsure", LIGHT.accent, "o", "-")
MAPS = {
    "alone": Line("answer alone", LIGHT.accent, "o", "-"),
    "first": Line("draft of round 1", LIGHT.third, "^", ":"),
    "later": Line("later drafts", LIGHT.second, "s", "--"),
}
FEW = 5
"""A reliability bin of fewer answers says nothing and has no point."""


def consult_curve_plot(metrics: Mapping[str, Any]) -> Figure:
    """Accuracy against tokens for every threshold; what no threshold decides as crosses, the chosen one as a ring."""
    consult = metrics["consult"]
    figure, axes = new_figure(3.2)
    several = "rounds_2" in consult["fixed"]  # of one round the three curves are one
    for name, line in CURVES.items() if several else [("one_round", ONE_ROUND)]:
        points = [(p["tokens"], p["accuracy"]) for p in consult["curves"][name]]
        axes.plot(*zip(*points, strict=True), line.line, color=line.colour, linewidth=1.6, label=line.label)
    for name, fixed in consult["fixed"].items():
        axes.plot(fixed["tokens"], fixed["accuracy"], "x", color=LIGHT.ink, markersize=6, zorder=4)
        axes.annotate(
            _fixed_label(name), (fixed["tokens"], fixed["accuracy"]), (0, -12), textcoords="offset points",
            ha="center", fontsize=8, color=LIGHT.ink,
        )  # fmt: skip
    chosen = consult["chosen"]
    axes.plot(
        chosen["tokens"], chosen["accuracy"], "o", color=LIGHT.accent, markersize=10, markerfacecolor="none",
        markeredgewidth=2, label="chosen on calibration problems", zorder=5, linestyle="none",
    )  # fmt: skip
    axes.margins(x=0.08, y=0.18)
    axes.set_xlabel("tokens a problem, in and out")
    axes.set_ylabel("accuracy")
    axes.grid(visible=True)
    legend_above(axes)
    return figure


def reliability_plot(metrics: Mapping[str, Any]) -> Figure:
    """Accuracy of answers of about equal confidence: calibrated is the diagonal."""
    confidence = metrics["consult"]["confidence"]
    figure, axes = new_figure(3.2)
    axes.plot([0, 1], [0, 1], color=LIGHT.grid, linewidth=1)
    for name, row in confidence.items():
        line = MAPS.get(name) or Line(f"draft after {name}", LIGHT.muted, ".", "--")
        bins = [b for b in row["bins"] if b["n"] >= FEW]
        if not bins:
            continue
        told = f", AUC {row['auc']:.2f}" if row["auc"] is not None else ""
        points = [(b["confidence"], b["accuracy"]) for b in bins]
        axes.plot(
            *zip(*points, strict=True), line.line, color=line.colour, marker=line.marker, linewidth=1.4, markersize=5,
            label=f"{line.label}{told}", clip_on=False,
        )  # fmt: skip
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("confidence: P(right) as calibrated")
    axes.set_ylabel("accuracy")
    axes.grid(visible=True)
    legend_above(axes)
    return figure


def _fixed_label(name: str) -> str:
    """ "rounds_2" -> "always 2 rounds"."""
    if name == "alone":
        return "alone"
    number = name.removeprefix("rounds_")
    return f"always {number} round{'s' if number != '1' else ''}"

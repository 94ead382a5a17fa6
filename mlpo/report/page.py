"""One self-contained page: results, plots, transcripts; nothing from elsewhere, no clock, no id, no path in it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from mlpo.method.answers import agent_answer
from mlpo.method.metrics import Graded
from mlpo.report.plots import DARK, LIGHT, Curve, Theme, accuracy_plot, reward_plot, rounds_plot, svg, team_plot
from mlpo.report.rows import difference_rows, p_value, percent, strategy_label, strategy_rows
from mlpo.types import Completion

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Plot(NamedTuple):
    """A plot for the page, on both grounds."""

    title: str
    note: str
    light: str
    dark: str


class Case(NamedTuple):
    """One transcript for the page."""

    graded: Graded
    marks: tuple[str, ...]
    """right or wrong, and rescued or talked out where it was."""


def page(
    metrics: Mapping[str, Any], *, cases: Sequence[Graded] = (), curve: Curve | None = None, confidence: float = 0.95
) -> str:
    """The report as HTML.

    Args:
        metrics: what metrics.json holds.
        cases: transcripts to show, with their texts.
        curve: the training curve of the MLPO leader.
        confidence: of the intervals in `metrics`.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mlpo.report", "."),
        autoescape=True,  # an agent's text is untrusted
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shown = [Case(graded, marks(graded)) for graded in cases]
    return environment.get_template("page.html.j2").render(
        strategies=strategy_rows(metrics),
        differences=difference_rows(metrics),
        level=percent(confidence),
        leader=metrics["strategies"]["leader"],
        families=_family_table(metrics),
        plots=_plots(metrics, curve, confidence),
        cases=shown,
        filters=sorted({mark for case in shown for mark in case.marks}),
        light=LIGHT,
        dark=DARK,
        answer_of=_answer_of,
        p_value=p_value,
    )


def choose_cases(graded: Sequence[Graded], num_cases: int) -> list[Graded]:
    """Rescued, talked out, wrong and right ones in turns, so that no kind crowds out the others."""
    kinds = [[g for g in graded if _kind(g) == kind] for kind in range(4)]
    ordered: list[Graded] = []
    while any(kinds) and len(ordered) < num_cases:
        ordered += [kind.pop(0) for kind in kinds if kind]
    return ordered[:num_cases]


def marks(graded: Graded) -> tuple[str, ...]:
    """What a reader may want to filter by."""
    found = ["right" if graded.correct else "wrong"]
    if graded.correct and graded.proposals_correct and not graded.vote_correct:
        found.append("rescued")
    if not graded.correct and _was_right(graded):
        found.append("talked out")
    return tuple(found)


def _kind(graded: Graded) -> int:
    found = marks(graded)
    return 0 if "rescued" in found else 1 if "talked out" in found else 2 if "wrong" in found else 3


def _was_right(graded: Graded) -> bool:
    """Was the leader's first draft right?"""
    rounds = graded.transcript.rounds
    return bool(rounds) and rounds[0].draft is not None and graded.rounds_correct[0]


def _answer_of(proposal: Completion, graded: Graded) -> str:
    return agent_answer(proposal, graded.problem) or "no answer"


def _family_table(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Accuracy by family for the strategies worth comparing there."""
    names = [row.name for row in strategy_rows(metrics) if row.name != "self_consistency"]
    families = sorted(metrics["strategies"]["leader"]["by_family"])
    cells = {
        family: [metrics["strategies"][name]["by_family"].get(family, {}).get("accuracy") for name in names]
        for family in families
    }
    return {"labels": [strategy_label(name) for name in names], "cells": cells}


def _plots(metrics: Mapping[str, Any], curve: Curve | None, confidence: float) -> list[Plot]:
    def plot(title: str, note: str, draw: Callable[[Theme], Figure]) -> Plot:
        return Plot(title, note, *(_data_uri(svg(draw, theme)) for theme in (LIGHT, DARK)))

    plots = [
        plot(
            "Accuracy",
            "The dashed line is the share of problems on which at least one agent is right: no choice among the "
            "team's answers can pass it; a leader that finds answers of its own can.",
            partial(accuracy_plot, metrics, confidence=confidence),
        ),
        plot("Rounds", "What the leader's answer is worth after each round.", partial(rounds_plot, metrics)),
        plot(
            "By the team's proposals",
            "Does the leader follow a team that is right, and rescue one that is wrong?",
            partial(team_plot, metrics),
        ),
    ]
    if curve:
        plots.append(plot("Training", "Roll-outs of the MLPO stage.", partial(reward_plot, curve)))
    return plots


def _data_uri(image: bytes) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(image).decode()}"

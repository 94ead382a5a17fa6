"""One self-contained page: results, plots, transcripts; nothing from elsewhere, no id and no path in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlpo.report.browser import MARKS
from mlpo.report.budgets import EQUAL_WITHIN, budget_rows, stage_rows
from mlpo.report.drawing import DARK, LIGHT, svg
from mlpo.report.gallery import Plot
from mlpo.report.headroom import before_training_sentence, headroom_families, headroom_rows, holder_table
from mlpo.report.rows import difference_rows, p_value, percent, rule, strategy_label, strategy_rows

SECTIONS = {"strategies": "Strategies", "costs": "Costs", "team": "The team", "training": "Training"}
"""Parts of the page that hold plots, and what they are called."""


def page(
    metrics: Mapping[str, Any],
    *,
    plots: Sequence[Plot] = (),
    browser: Mapping[str, Any] | None = None,
    timings: Mapping[str, Any] | None = None,
    confidence: float = 0.95,
) -> str:
    """The report as HTML.

    Args:
        metrics: what metrics.json holds.
        browser: what `browser_data` gives.
        timings: what timings.json holds.
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
    differences = difference_rows(metrics, confidence)
    return environment.get_template("page.html.j2").render(
        strategies=strategy_rows(metrics),
        differences=differences,
        rule=rule(len(differences), confidence),
        level=percent(confidence),
        leader=metrics["strategies"]["leader"],
        families=_family_table(metrics),
        before_training=before_training_sentence(found) if (found := metrics.get("before_training")) else "",
        early_warning=(metrics.get("before_training") or {}).get("warning", ""),
        headroom=headroom_rows(metrics),
        headroom_families=headroom_families(metrics),
        holders=holder_table(metrics),
        budgets=budget_rows(metrics, timings or {}),
        equal_within=percent(EQUAL_WITHIN),
        stages=stage_rows(timings or {}),
        sections=SECTIONS,
        plots=_drawn(plots),
        browser=browser,
        marks=MARKS,
        light=LIGHT._asdict(),
        dark=DARK._asdict(),
        p_value=p_value,
    )


def _drawn(plots: Sequence[Plot]) -> dict[str, list[dict[str, str]]]:
    """Section -> its plots, drawn for the page."""
    found: dict[str, list[dict[str, str]]] = {section: [] for section in SECTIONS}
    for plot in plots:
        image = svg(plot.draw, plot.name)
        found[plot.section].append({"name": plot.name, "title": plot.title, "note": plot.note, "svg": image})
    return found


def _family_table(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Accuracy by family, a column per strategy."""
    names = [row.name for row in strategy_rows(metrics)]
    families = sorted(metrics["strategies"]["leader"]["by_family"])
    cells = {
        family: [metrics["strategies"][name]["by_family"].get(family, {}).get("accuracy") for name in names]
        for family in families
    }
    return {"labels": [strategy_label(name) for name in names], "cells": cells}

"""Plots of asking only when unsure: every line and mark is where the numbers say, and only where it was measured."""

from __future__ import annotations

from typing import Any

import pytest

from mlpo.report.consult_plots import consult_curve_plot, reliability_plot
from mlpo.report.drawing import svg
from mlpo.report.gallery import plots


def point(tokens: float, accuracy: float) -> dict[str, float]:
    return {
        "ask_below": 0.5, "again_below": 0.5, "accuracy": accuracy, "share_asked": 0.5, "generations": 2.0,
        "tokens": tokens,
    }  # fmt: skip


def told(auc: float | None, *bins: tuple[float, float, int]) -> dict[str, Any]:
    rows = [{"low": 0.0, "high": 1.0, "confidence": c, "accuracy": a, "n": n} for c, a, n in bins]
    return {"n": sum(n for *_, n in bins), "auc": auc, "calibration_error": 0.1, "bins": rows}


@pytest.fixture
def measured(metrics: dict[str, Any]) -> dict[str, Any]:
    curve = [point(10, 0.6), point(60, 0.7)]
    consult = {
        "signal": "entropy", "ask_below": 0.5, "again_below": 0.5, "chosen": point(40, 0.72),
        "fixed": {"alone": point(10, 0.6), "rounds_1": point(55, 0.68), "rounds_2": point(110, 0.66)},
        "curves": {"one_round": curve, "while_unsure": [*curve, point(80, 0.74)], "all_rounds": curve},
        "confidence": {"alone": told(0.86, (0.1, 0.2, 9), (0.9, 0.8, 30), (0.5, 1.0, 2)), "first": told(None)},
    }  # fmt: skip
    return metrics | {"consult": consult}


def test_lines_crosses_and_the_ring_stand_where_the_numbers_say(measured: dict[str, Any]) -> None:
    [axes] = consult_curve_plot(measured).axes
    lines = {str(line.get_label()): list(zip(*line.get_data(), strict=True)) for line in axes.lines}
    assert lines["asks again while unsure"] == [(10, 0.6), (60, 0.7), (80, 0.74)]
    assert lines["chosen on calibration problems"] == [(40, 0.72)]
    assert [text.get_text() for text in axes.texts] == ["alone", "always 1 round", "always 2 rounds"]


def test_of_one_round_there_is_one_curve(measured: dict[str, Any]) -> None:
    del measured["consult"]["fixed"]["rounds_2"]
    [axes] = consult_curve_plot(measured).axes
    labels = [str(line.get_label()) for line in axes.lines]
    assert [label for label in labels if not label.startswith("_")] == [
        "asks while unsure",
        "chosen on calibration problems",
    ]


def test_a_bin_of_few_answers_has_no_point_and_a_map_without_bins_no_line(measured: dict[str, Any]) -> None:
    [axes] = reliability_plot(measured).axes
    lines = {str(line.get_label()): list(zip(*line.get_data(), strict=True)) for line in axes.lines[1:]}
    assert lines == {"answer alone, AUC 0.86": [(0.1, 0.2), (0.9, 0.8)]}


def test_drafts_after_some_agents_have_lines_of_their_own(measured: dict[str, Any]) -> None:
    measured["consult"]["confidence"]["2 agents"] = told(0.7, (0.4, 0.5, 9))
    [axes] = reliability_plot(measured).axes
    assert [str(line.get_label()) for line in axes.lines[1:]] == [
        "answer alone, AUC 0.86",
        "draft after 2 agents, AUC 0.70",
    ]


def test_the_plots_are_drawn_where_asking_was_measured(metrics: dict[str, Any], measured: dict[str, Any]) -> None:
    names = {plot.name for plot in plots(metrics, sft_curve={}, mlpo_curve={})}
    found = [plot for plot in plots(measured, sft_curve={}, mlpo_curve={}) if plot.name not in names]
    assert [(plot.name, plot.section) for plot in found] == [("consult", "costs"), ("reliability", "team")]
    for plot in found:
        assert svg(plot.draw, plot.name) == svg(plot.draw, plot.name)

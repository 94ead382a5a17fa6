"""Plots: the same bytes each time whatever the user's settings, and on the page in the page's own colours."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import pytest

from mlpo.report.drawing import DARK, LIGHT, png, spread, svg
from mlpo.report.gallery import plots
from mlpo.report.strategy_plots import accuracy_plot
from mlpo.report.training_plots import reward_plot


def test_a_users_matplotlib_settings_do_not_change_the_plot(metrics: dict[str, Any]) -> None:
    import matplotlib as mpl

    draw = partial(accuracy_plot, metrics)
    plain = png(draw)
    with mpl.rc_context({"axes.labelsize": 20, "xtick.major.pad": 9}):
        assert png(draw) == plain


def test_no_file_holds_a_clock_or_a_version(metrics: dict[str, Any]) -> None:
    draw = partial(accuracy_plot, metrics)
    assert b"Software" not in png(draw)
    assert not re.search("<dc:date>|Matplotlib v", svg(draw, "accuracy"))


def test_on_the_page_a_plot_has_the_pages_colours_and_letters(metrics: dict[str, Any]) -> None:
    drawn = svg(partial(accuracy_plot, metrics), "accuracy")
    assert "var(--accent)" in drawn
    assert "MLPO leader + team</text>" in drawn
    assert not [colour for colour in LIGHT if colour in drawn]
    assert len(set(LIGHT)) == len(LIGHT)  # else two colours could not be told apart again
    assert LIGHT._fields == DARK._fields


def test_ids_of_two_plots_never_meet(metrics: dict[str, Any]) -> None:
    first, second = (svg(partial(accuracy_plot, metrics), name) for name in ("a", "b"))
    ids = [set(re.findall(r'\bid="([^"]+)"', drawn)) for drawn in (first, second)]
    assert ids[0]
    assert not ids[0] & ids[1]
    assert set(re.findall(r'(?:url\(#|href="#)([^)"]+)', first)) <= ids[0]


def test_a_curve_with_gaps_is_drawn() -> None:
    curve = {"step": [1.0, 2.0], "reward": [0.1, 0.2], "correct_solo": [float("nan"), 0.5]}
    assert svg(partial(reward_plot, curve), "reward").startswith("<svg viewBox=")


def test_plots_are_those_the_results_have(metrics: dict[str, Any]) -> None:
    names = [plot.name for plot in plots(metrics, sft_curve={}, mlpo_curve={})]
    assert names == [
        "accuracy", "differences", "tokens", "generations", "rounds", "team", "position", "agreement"
    ]  # fmt: skip
    trained = plots(metrics, sft_curve={"step": [1.0], "loss": [2.0]}, mlpo_curve={"step": [1.0], "reward": [0.5]})
    assert [plot.name for plot in trained][len(names) :] == ["reward", "signal", "sft_loss"]


@pytest.mark.parametrize(
    ("places", "moved"),
    [
        ([0.0, 5.0], [0.0, 5.0]),  # far enough already
        ([2.0, 2.0], [1.5, 2.5]),  # a block around its mean
        ([2.0, 1.0, 1.0], [2.0 + 1 / 3, 1 / 3, 4 / 3]),  # two blocks that touch are one; the order stays: mean 4/3
    ],
)
def test_names_are_moved_apart_around_where_they_belong(places: list[float], moved: list[float]) -> None:
    assert spread(places, 1.0) == pytest.approx(moved)

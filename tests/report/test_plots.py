"""What plots show: a verdict's colour, bounds apart from strategies, names at their ends, no point without a value."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mlpo.report.drawing import LIGHT, svg
from mlpo.report.gallery import plots
from mlpo.report.strategy_plots import accuracy_plot, differences_plot, rounds_plot
from mlpo.report.team_plots import team_plot
from mlpo.report.training_plots import read_curve, reward_plot


@pytest.mark.parametrize(
    ("difference", "holm_p", "colour"),
    [(0.4, 0.01, LIGHT.third), (-0.4, 0.01, LIGHT.second), (0.4, 0.06, LIGHT.muted)],
    ids=["better", "worse", "not told apart"],
)
def test_a_difference_has_the_colour_of_its_verdict(
    metrics: dict[str, Any], difference: float, holm_p: float, colour: str
) -> None:
    row = metrics["paired"]["leader_vs_majority_vote"] | {"difference": difference, "holm_p": holm_p}
    [axes] = differences_plot(metrics | {"paired": {"leader_vs_majority_vote": row}}).axes
    assert [line.get_color() for line in axes.lines[1:]] == [colour, colour]  # after the line at 0


def test_the_oracle_is_a_bound_and_no_strategy(metrics: dict[str, Any]) -> None:
    [axes] = accuracy_plot(metrics).axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert (names[0], "oracle" in names) == ("MLPO leader alone", False)
    assert "oracle 0.67" in [text.get_text() for text in axes.texts]  # 16 of 24


def test_the_name_of_a_strategy_with_rounds_stands_at_its_last_one(metrics: dict[str, Any]) -> None:
    [axes] = rounds_plot(metrics).axes
    ends = {text.get_text(): text.xy for text in axes.texts}  # type: ignore[attr-defined]
    for name, label in (("leader", "MLPO leader + team"), ("sft_leader", "SFT leader + team")):
        assert ends[label] == (1, metrics["strategies"][name]["by_round"]["1"])


def test_a_count_that_never_occurred_has_no_place(metrics: dict[str, Any]) -> None:
    rows = metrics["strategies"]["leader"]["by_num_correct"]
    changed = metrics["strategies"]["leader"] | {"by_num_correct": rows | {"1": {"accuracy": 0.0, "n": 0}}}
    [axes] = team_plot({"strategies": {"leader": changed}}).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0\nn = 8", "2\nn = 8"]


def test_a_step_without_a_value_has_no_point(tmp_path: Path) -> None:
    (tmp_path / "curve.csv").write_text("step,reward,correct_solo\n1,0.1,\n2,0.2,0.5\n")
    [axes] = reward_plot(read_curve(tmp_path / "curve.csv")).axes
    points = {str(line.get_label()): list(zip(*line.get_data(), strict=True)) for line in axes.lines}
    assert points == {"reward": [(1.0, 0.1), (2.0, 0.2)], "correct, alone": [(2.0, 0.5)]}
    assert read_curve(tmp_path / "none.csv") == {}


def test_each_plot_is_the_one_its_name_says(metrics: dict[str, Any]) -> None:
    drawn = {plot.name: plot.draw().axes[0] for plot in plots(metrics, sft_curve={}, mlpo_curve={})}
    assert {name: axes.get_xlabel() for name, axes in drawn.items()} == {
        "accuracy": "accuracy, 95 % interval, n = 24",
        "differences": "leader - rival, 95 % interval",
        "tokens": "tokens a problem, in and out",
        "generations": "generations a problem",
        "rounds": "round",
        "team": "correct proposals in round 0",
        "position": "place of the only correct proposal",
        "agreement": "proposals in round 0 that give the most frequent answer",
    }


def test_a_plot_on_the_page_says_the_level_of_its_intervals(metrics: dict[str, Any]) -> None:
    assert "90 % interval" in svg(partial(differences_plot, metrics, confidence=0.9), "differences")

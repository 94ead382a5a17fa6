"""The tables: what they hold, in which order, and that a terminal of 80 columns loses no number."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from mlpo.report import print_table, readme_table
from mlpo.report.rows import difference_rows, p_value, strategy_rows


def printed(metrics: dict[str, Any], *, width: int = 100, seconds: dict[str, float] | None = None) -> str:
    out = io.StringIO()
    print_table(metrics, seconds=seconds, console=Console(file=out, width=width))
    return out.getvalue()


def test_strategies_stand_from_agents_to_the_trained_leader_and_the_bound_last(metrics: dict[str, Any]) -> None:
    assert [row.name for row in strategy_rows(metrics)] == [
        "single:geo", "single:number", "majority_vote", "untrained_leader", "sft_leader", "leader", "leader_solo",
        "oracle_any",
    ]  # fmt: skip


def test_a_strategy_nobody_foresaw_stands_between_the_vote_and_the_leaders(metrics: dict[str, Any]) -> None:
    rivals = dict.fromkeys(("debate", "majority_vote_equal_tokens"), metrics["strategies"]["leader"])
    names = [row.name for row in strategy_rows({**metrics, "strategies": {**rivals, **metrics["strategies"]}})]
    assert names[2:6] == ["majority_vote", "majority_vote_equal_tokens", "debate", "untrained_leader"]


def test_the_leader_is_compared_with_its_rivals_and_never_with_the_bound(metrics: dict[str, Any]) -> None:
    assert [row.label for row in difference_rows(metrics)] == [
        "majority vote", "best agent (number)", "untrained leader + team", "SFT leader + team", "MLPO leader alone",
    ]  # fmt: skip


def test_only_an_interval_that_clears_zero_is_called_better_or_worse(metrics: dict[str, Any]) -> None:
    def verdict(low: float, high: float) -> str:
        row = {"difference": (low + high) / 2, "interval": [low, high], "n": 9}
        return difference_rows({"paired": {"leader_vs_majority_vote": row}, "best_single": "geo"})[0].verdict

    assert verdict(0.001, 0.2) == "better"
    assert verdict(0.0, 0.2) == verdict(-0.2, 0.0) == verdict(-0.1, 0.1) == "not told apart"
    assert verdict(-0.2, -0.001) == "worse"


def test_results_without_a_corrected_p_leave_its_cell_empty(metrics: dict[str, Any]) -> None:
    row = metrics["paired"]["leader_vs_majority_vote"]
    assert difference_rows(metrics)[0].holm_p == row["holm_p"]
    old = {name: value for name, value in row.items() if name != "holm_p"}
    [shown] = difference_rows({"paired": {"leader_vs_majority_vote": old}, "best_single": "geo"})
    assert [p_value(p) for p in (shown.holm_p, 0.04, 0.0004)] == ["", "0.040", "< 0.001"]


def test_the_terminal_shows_accuracy_interval_and_costs(metrics: dict[str, Any]) -> None:
    # right on 18 of 24: 0.750; two rounds of two agents and a leader: 6 generations of 50 + 4 tokens
    [line] = [line for line in printed(metrics).splitlines() if line.strip().startswith("MLPO leader + team ")][:1]
    assert line.split()[4:] == ["0.750", "[0.551,", "0.880]", "0.000", "6.00", "300", "24"]
    assert "oracle (upper bound)" in printed(metrics)


def test_seconds_are_shown_where_they_are_known(metrics: dict[str, Any]) -> None:
    assert "seconds" not in printed(metrics)
    table = printed(metrics, seconds={"leader": 1.25})
    assert "seconds" in table
    assert table.count("1.250") == 1


def test_eighty_columns_lose_no_number(metrics: dict[str, Any]) -> None:
    def numbers(width: int) -> list[str]:
        table = printed(metrics, width=width, seconds={"leader": 1.25})
        assert max(map(len, table.splitlines())) <= width
        return [word for word in table.split() if word.strip("[],+-").replace(".", "").isdigit()]

    assert numbers(80) == numbers(200)


def test_the_readmes_table_is_markdown_with_the_same_rows(metrics: dict[str, Any]) -> None:
    text = readme_table(metrics)
    assert "| MLPO leader + team | 0.750 | [0.551, 0.880] | 0.000 | 6.00 | 300 | 24 |" in text
    assert "| majority vote | +0.417 | [" in text
    strategies, differences = text.strip().split("\n\n")
    assert {line.count("|") for line in strategies.splitlines()} == {8}
    assert {line.count("|") for line in differences.splitlines()} == {7}

"""The tables: what they hold, in which order, and that a terminal of 80 columns loses no number."""

from __future__ import annotations

import html
import io
from typing import Any

from rich.console import Console

from mlpo.method.metrics.significance import holm_p
from mlpo.report import page, print_table, readme_table
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


def test_the_rows_are_the_family_of_holms_correction(metrics: dict[str, Any]) -> None:
    rows = difference_rows(metrics)
    p_values = {row.name: metrics["paired"][f"leader_vs_{row.name}"]["mcnemar_p"] for row in rows}
    assert {row.name: row.holm_p for row in rows} == holm_p(p_values)


def test_a_verdict_follows_the_corrected_p_whatever_the_pairs_own_interval_says(metrics: dict[str, Any]) -> None:
    # won and lost: 12 and 2 against the vote, p 0.013 and with Holm 3 times that; 6 and 4; 18 and 0 twice; 12 and 6
    said = {row.name: row.verdict for row in difference_rows(metrics)}
    assert said == {
        "majority_vote": "better", "best_single": "not told apart", "untrained_leader": "better",
        "sft_leader": "better", "leader_solo": "not told apart",
    }  # fmt: skip
    lucky = metrics["paired"]["leader_vs_majority_vote"] | {"interval": [0.05, 0.4], "holm_p": 0.06}
    results = {"paired": {"leader_vs_majority_vote": lucky}, "best_single": "geo"}
    assert difference_rows(results)[0].verdict == "not told apart"
    assert difference_rows(results, 0.9)[0].verdict == "better"


def test_a_small_p_is_not_shown_as_nothing() -> None:
    assert [p_value(p) for p in (1.0, 0.04, 0.001, 0.0004)] == ["1.000", "0.040", "0.001", "< 0.001"]


def test_every_table_says_in_one_line_what_its_verdicts_follow(metrics: dict[str, Any]) -> None:
    line = "Better or worse: p <= 0.05 after Holm's correction over the pairs shown (5). Intervals are uncorrected."
    for told in (printed(metrics, width=200), readme_table(metrics), html.unescape(page(metrics))):
        assert told.count(line) == 1


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
    strategies, differences, _ = text.strip().split("\n\n")
    assert {line.count("|") for line in strategies.splitlines()} == {8}
    assert {line.count("|") for line in differences.splitlines()} == {7}

"""What the team can win stands on the page and on the terminal, and a team that cannot pay is warned of."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from mlpo.report import page, print_table
from mlpo.report.headroom import TOO_LITTLE, headroom_families, headroom_rows, holder_table

WARNING = "3 % of the problems can be won by asking this team"


def changed(metrics: dict[str, Any], **leader: Any) -> dict[str, Any]:
    return metrics | {"headroom": {"leader": metrics["headroom"]["leader"] | leader}}


def printed(metrics: dict[str, Any], width: int = 100) -> str:
    out = io.StringIO()
    print_table(metrics, console=Console(file=out, width=width))
    return out.getvalue()


def test_a_row_says_what_could_be_won_and_was(metrics: dict[str, Any]) -> None:
    [row] = headroom_rows(metrics)
    # alone y n y - and in the end y y n y, six times; a proposal is right on two of three
    assert (row.name, row.label, row.alone, row.with_team) == ("leader", "MLPO leader", 0.5, 0.75)
    assert (row.winnable[:5], row.losable[:5]) == ("0.333", "0.167")  # 8 and 4 of 24
    assert (row.won, row.lost, row.captured[:5]) == (12, 6, "+0.75")  # (12 - 6) / 8
    assert row.ceiling == pytest.approx(20 / 24, abs=1e-6)


def test_families_have_a_column_a_leader(metrics: dict[str, Any]) -> None:
    rows = headroom_families(metrics)
    assert [(row.family, row.n, len(row.leaders)) for row in rows] == [("capital", 12, 1), ("product", 12, 1)]
    assert [row.leaders[0]["won"] for row in rows] == [12, 0]  # odd numbers are capitals
    assert [row.leaders[0]["lost"] for row in rows] == [0, 6]


def test_the_page_has_the_section_and_the_terminal_the_table(metrics: dict[str, Any]) -> None:
    html, table = page(metrics), printed(metrics)
    assert html.count('href="#headroom"') == html.count('id="headroom"') == 1
    for shown in (html.partition('id="table-headroom"')[2].partition("</table>")[0], table):
        assert "0.333 [0.180, 0.533]" in shown
        assert headroom_rows(metrics)[0].captured in shown
    assert WARNING not in html
    assert 'class="warning"' not in html


def test_what_was_known_before_training_stands_above_the_table(metrics: dict[str, Any]) -> None:
    share = {"share": 0.03, "interval": [0.01, 0.08]}
    early = {"n": 120, "alone": 0.467, "ceiling": 0.5, "winnable": share, "losable": share, "warning": f"{WARNING}."}
    html = page(metrics | {"before_training": early})
    assert "alone the SFT leader has 0.467 of 120 calibration problems; asking its team can win 0.030 [0.010" in html
    assert WARNING in html.partition('class="warning"')[2]
    assert "Before training" not in page(metrics | {"before_training": {}})


def test_a_team_that_cannot_pay_is_warned_of_and_has_no_share(metrics: dict[str, Any]) -> None:
    poor = changed(metrics, captured=None, warning=f"{WARNING}.")
    assert headroom_rows(poor)[0].captured == TOO_LITTLE
    for shown in (page(poor), printed(poor)):
        assert WARNING in shown
        assert TOO_LITTLE in shown


def test_eighty_columns_hold_the_table(metrics: dict[str, Any]) -> None:
    def cells(width: int) -> list[str]:
        table = printed(metrics, width).partition("What the team can win")[2]
        [line] = [line for line in table.splitlines() if "MLPO leader" in line]
        return line.split()

    assert cells(200) == cells(80)


def test_holders_have_a_row_a_strategy(metrics: dict[str, Any]) -> None:
    table = holder_table(metrics)
    assert table is not None
    # of problem n, 2 - n % 3 agents hold the fact, and as many propose it
    assert (table.counts, table.sizes) == (("0", "1", "2"), (8, 8, 8))
    cells = {name: list(row) for name, _, row in table.rows}
    assert cells["oracle_any"] == [0, 1, 1]
    assert cells["single:geo"] == [0, 0, 1]
    html = page(metrics)
    assert "nobody (n 8)" in html
    assert "1 agent (n 8)" in html
    assert "not reasoning" in html
    nobody = {"0": {"accuracy": 0.0, "n": 0}, "1": {"accuracy": 0.5, "n": 2}}
    empty = holder_table({"by_holders": {"leader": nobody}})
    assert empty is not None
    assert empty.rows == (("leader", "MLPO leader + team", (None, 0.5)),)  # of nothing there is no accuracy


def test_what_is_not_known_is_not_shown(metrics: dict[str, Any]) -> None:
    unknown = metrics | {"by_holders": {name: {} for name in metrics["strategies"]}}
    assert holder_table(unknown) is None
    assert "table-holders" not in page(unknown)
    older = {name: value for name, value in metrics.items() if name not in ("headroom", "by_holders")}
    html = page(older)
    assert "table-headroom" not in html
    assert "table-holders" not in html
    assert "can win" not in printed(older)

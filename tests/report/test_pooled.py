"""The pooled table: the other tables' order, and no number lost on 80 columns."""

from __future__ import annotations

import io

from rich.console import Console

from mlpo.method.metrics.evaluation import Difference, Interval
from mlpo.report import pooled_markdown, print_pooled
from mlpo.report.pooled import PooledRow

ROWS = [
    PooledRow("leader", Difference(0.7, Interval(0.65, 0.75), 300), (0.68, 0.72), None, None),
    PooledRow(
        "self_consistency_equal_generations",
        Difference(0.5, Interval(0.45, 0.55), 300),
        (0.4, 0.6),
        Difference(0.2, Interval(0.125, 0.275), 300),
        0.0004,
    ),
    PooledRow(
        "leader_solo",
        Difference(0.6, Interval(0.55, 0.65), 300),
        (0.6, 0.6),
        Difference(0.1, Interval(0.01, 0.19), 300),
        0.06,
    ),
    PooledRow(
        "oracle_any",
        Difference(0.6, Interval(0.55, 0.65), 300),
        (0.6, 0.6),
        Difference(0.1, Interval(0.05, 0.15), 300),
        None,
    ),
]


def printed(width: int) -> str:
    out = io.StringIO()
    print_pooled(ROWS, num_runs=2, console=Console(file=out, width=width))
    return out.getvalue()


def test_eighty_columns_lose_no_number() -> None:
    narrow, wide = printed(80), printed(200)
    assert max(map(len, narrow.splitlines())) <= 80
    numbers = ["0.500", "[0.450, 0.550]", "0.400 0.600", "+0.200", "[+0.125, +0.275]", "✔", "0.680 0.720"]
    for table in (narrow, wide):
        assert [number for number in numbers if number not in table] == []


def test_the_leader_stands_after_what_needs_no_training() -> None:
    table = printed(200)
    assert table.index("self-consistency") < table.index("MLPO leader + team")


def test_marks_follow_the_corrected_p_and_the_oracle_has_none() -> None:
    marks = {line.split("  ")[0].strip(): line.split()[-1] for line in printed(200).splitlines() if "." in line}
    assert (marks["self-consistency at equal generations"], marks["MLPO leader alone"]) == ("✔", "·")
    assert marks["oracle"] == "+0.150]"


def test_the_rule_names_the_size_of_the_family() -> None:
    line = "Better or worse: p <= 0.05 after Holm's correction over the pairs shown (2)."
    assert line in printed(200)
    page = pooled_markdown(ROWS)
    assert line in page
    assert [row.rsplit("|", 2)[1].strip() for row in page.splitlines()[2:6]] == ["< 0.001", "", "0.060", ""]

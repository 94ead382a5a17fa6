"""The table of several runs pooled by problem: accuracies, the spread over runs, the leader's differences."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

from mlpo.method.metrics import Difference
from mlpo.report.rows import DifferenceRow, in_reading_order, percent, strategy_label
from mlpo.report.table import MARKS, WIDTH_OF_A_LOG, framed


class PooledRow(NamedTuple):
    """One strategy over all runs."""

    name: str
    accuracy: Difference
    by_run: tuple[float, ...]
    """Accuracy in each run."""
    lead: Difference | None
    """The leader's accuracy minus this one's; None for the leader itself."""


def print_pooled(
    rows: Sequence[PooledRow], *, num_runs: int, confidence: float = 0.95, console: Console | None = None
) -> None:
    """Print one line a strategy, in the order of the other tables.

    Args:
        confidence: of the intervals in `rows`.
    """
    level = percent(confidence)
    table = framed(f"{rows[0].accuracy.n} test problems, {num_runs} runs pooled by problem", "strategy")
    for header in ("accuracy", f"{level} interval", "runs: low\nto high", "leader\nminus", f"{level} interval", ""):
        table.add_column(header, justify="right", no_wrap=True)
    for name in in_reading_order(row.name for row in rows):
        [row] = [row for row in rows if row.name == name]
        spread = f"{min(row.by_run):.3f} {max(row.by_run):.3f}"
        cells = (f"{row.accuracy.difference:.3f}", _interval(row.accuracy, ""), spread, *_lead(row))
        table.add_row(*(Text(cell) for cell in (strategy_label(name), *cells)))
    (console or Console(width=None if sys.stdout.isatty() else WIDTH_OF_A_LOG)).print(table)


def _lead(row: PooledRow) -> tuple[str, str, str]:
    if row.lead is None:
        return "", "", ""
    verdict = DifferenceRow(row.name, "", row.lead.difference, *row.lead.interval, row.lead.n).verdict
    return f"{row.lead.difference:+.3f}", _interval(row.lead, "+"), MARKS[verdict]


def _interval(of: Difference, sign: str) -> str:
    return f"[{of.interval.low:{sign}.3f}, {of.interval.high:{sign}.3f}]"

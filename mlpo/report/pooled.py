"""Several runs pooled by problem, as table, Markdown and picture: accuracies, spread over runs, differences."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

from mlpo.method.metrics.evaluation import Difference
from mlpo.method.metrics.significance import verdict
from mlpo.method.strategies.baselines import ORACLE
from mlpo.report.drawing import png
from mlpo.report.rows import StrategyRow, in_reading_order, p_value, percent, rule, strategy_label
from mlpo.report.strategy_plots import draw_accuracies
from mlpo.report.table import MARKS, WIDTH_OF_A_LOG, framed, markdown_table
from mlpo.types import LEADER


class PooledRow(NamedTuple):
    """One strategy over all runs."""

    name: str
    accuracy: Difference
    by_run: tuple[float, ...]
    """Accuracy in each run."""
    lead: Difference | None
    """The leader's accuracy minus this one's; None for the leader itself."""
    holm_p: float | None
    """Of the lead, corrected for all rivals; None for the leader, and for the oracle, which is none."""


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
    for row in _ordered(rows):
        spread = f"{min(row.by_run):.3f} {max(row.by_run):.3f}"
        cells = (f"{row.accuracy.difference:.3f}", _interval(row.accuracy, ""), spread, *_lead(row))
        table.add_row(*(Text(cell) for cell in (strategy_label(row.name), *cells, _mark(row, confidence))))
    console = console or Console(width=None if sys.stdout.isatty() else WIDTH_OF_A_LOG)
    console.print(table, Text(_rule(rows, confidence)))


def pooled_markdown(rows: Sequence[PooledRow], *, confidence: float = 0.95) -> str:
    """The same table as Markdown, as the README has it, with p for the mark."""
    level = percent(confidence)
    header = ("strategy", "accuracy", f"{level} interval", "runs: low to high", "leader + team minus it")
    cells = []
    for row in _ordered(rows):
        label = f"{strategy_label(row.name)}{' (upper bound on picking)' if row.name == ORACLE else ''}"
        spread = f"{min(row.by_run):.3f} to {max(row.by_run):.3f}"
        p = "" if row.holm_p is None else p_value(row.holm_p)
        numbers = (f"{row.accuracy.difference:.3f}", _interval(row.accuracy, ""), spread, *_lead(row), p)
        cells.append((f"**{label}**" if row.name == LEADER else label, *numbers))
    return f"{markdown_table((*header, f'{level} interval', 'Holm p'), cells)}\n\n{_rule(rows, confidence)}\n"


def pooled_png(rows: Sequence[PooledRow], *, num_runs: int, confidence: float = 0.95) -> bytes:
    """Every strategy's pooled accuracy with its interval, and a tick for each run."""
    drawn = [
        StrategyRow(
            row.name, strategy_label(row.name), row.accuracy.difference, *row.accuracy.interval, row.accuracy.n,
            0.0, 0.0, 0.0, 0.0, upper_bound=row.name == ORACLE,
        )
        for row in _ordered(rows)
    ]  # fmt: skip
    by_run = {row.name: row.by_run for row in rows}
    label = f"accuracy, {percent(confidence)} interval; dots: {num_runs} runs"
    return png(lambda: draw_accuracies(drawn, label, by_run))


def _ordered(rows: Sequence[PooledRow]) -> list[PooledRow]:
    by_name = {row.name: row for row in rows}
    return [by_name[name] for name in in_reading_order(by_name)]


def _lead(row: PooledRow) -> tuple[str, str]:
    return (f"{row.lead.difference:+.3f}", _interval(row.lead, "+")) if row.lead else ("", "")


def _mark(row: PooledRow, confidence: float) -> str:
    if row.lead is None or row.holm_p is None:
        return ""
    return MARKS[verdict(row.lead.difference, row.holm_p, confidence=confidence)]


def _rule(rows: Sequence[PooledRow], confidence: float) -> str:
    return rule(sum(row.holm_p is not None for row in rows), confidence)


def _interval(of: Difference, sign: str) -> str:
    return f"[{of.interval.low:{sign}.3f}, {of.interval.high:{sign}.3f}]"

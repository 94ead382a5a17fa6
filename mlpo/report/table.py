"""The results as tables: on the terminal, and as Markdown for the README and a model's card."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mlpo.method.metrics.significance import Verdict
from mlpo.report.headroom import HeadroomRow, headroom_rows
from mlpo.report.rows import DifferenceRow, StrategyRow, difference_rows, p_value, percent, rule, strategy_rows

WIDTH_OF_A_LOG = 100
"""Columns where there is no terminal: rich would take 80."""
MARKS: Mapping[Verdict, str] = {"better": "✔", "worse": "✘", "not told apart": "·"}
_STYLES: Mapping[Verdict, str] = {"better": "green", "worse": "red", "not told apart": "dim"}


def print_table(
    metrics: Mapping[str, Any],
    *,
    seconds: Mapping[str, float] | None = None,
    confidence: float = 0.95,
    console: Console | None = None,
) -> None:
    """Print every strategy and, below, the leader's paired differences and what its team can win.

    Args:
        metrics: what metrics.json holds.
        seconds: model seconds per problem by strategy, if they are known.
        confidence: of the intervals in `metrics`.
    """
    console = console or Console(width=None if sys.stdout.isatty() else WIDTH_OF_A_LOG)
    rows = difference_rows(metrics, confidence)
    console.print(_strategies(metrics, seconds or {}, confidence), _differences(rows, confidence))
    console.print(Text(rule(len(rows), confidence)))
    if leaders := headroom_rows(metrics):
        console.print(_headroom(leaders))
    for leader in leaders:
        if leader.warning:
            console.print(Text(f"{leader.label}: {leader.warning}", style="red"))


def readme_table(metrics: Mapping[str, Any], *, confidence: float = 0.95) -> str:
    """Both tables as Markdown, numbers to three places, and what verdicts follow."""
    strategies, differences = strategy_cells(metrics, confidence), difference_cells(metrics, confidence)
    return f"{_markdown(strategies)}\n\n{_markdown(differences)}\n\n{rule(len(differences), confidence)}\n"


def strategy_cells(metrics: Mapping[str, Any], confidence: float = 0.95) -> list[dict[str, str]]:
    """One strategy a row, column -> text."""
    columns = ("strategy", "accuracy", f"{percent(confidence)} interval", "invalid", "generations", "tokens in")
    return [
        dict(zip((*columns, "tokens out"), (_label(row), *_cells(row)), strict=True)) for row in strategy_rows(metrics)
    ]


def difference_cells(metrics: Mapping[str, Any], confidence: float = 0.95) -> list[dict[str, str]]:
    """One rival of the leader a row, column -> text."""
    return [
        {
            "MLPO leader + team minus": row.label,
            "difference": f"{row.difference:+.3f}",
            f"{percent(confidence)} interval": _interval(row, signed=True),
            "n": str(row.n),
            "Holm p": p_value(row.holm_p),
            "verdict": row.verdict,
        }
        for row in difference_rows(metrics, confidence)
    ]


def _strategies(metrics: Mapping[str, Any], seconds: Mapping[str, float], confidence: float) -> Table:
    rows = strategy_rows(metrics)
    table = framed(f"{rows[0].n} test problems; costs per problem", "strategy")
    headers = ["accuracy", f"{percent(confidence)} interval", "invalid", "gener-\nations", "tokens\nin", "tokens\nout"]
    for header in headers + (["seconds"] if seconds else []):
        table.add_column(header, justify="right", no_wrap=True)
    for row in rows:
        cells = [_label(row), *_cells(row)]
        if seconds:
            cells.append(f"{seconds[row.name]:.3f}" if row.name in seconds else "")
        style = "bold" if row.name == "leader" else "dim" if row.upper_bound else ""
        table.add_row(*(Text(cell) for cell in cells), style=style)
    return table


def _differences(rows: Sequence[DifferenceRow], confidence: float) -> Table:
    table = framed("MLPO leader + team minus", "rival")
    for header in ("difference", f"{percent(confidence)} interval", "n", "Holm p"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in rows:
        verdict = Text(f"{MARKS[row.verdict]} {row.verdict}", style=_STYLES[row.verdict])
        numbers = (f"{row.difference:+.3f}", Text(_interval(row, signed=True)), str(row.n), p_value(row.holm_p))
        table.add_row(Text(row.label), *numbers, verdict)
    return table


def _headroom(rows: Sequence[HeadroomRow]) -> Table:
    table = framed("What the team can win: leader alone wrong, a proposal right", "leader")
    for header in ("alone", "can be won", "captured", "won", "lost"):
        table.add_column(header, justify="right", no_wrap=True)
    for row in rows:
        cells = (f"{row.alone:.3f}", row.winnable, row.captured, str(row.won), str(row.lost))
        table.add_row(*(Text(cell) for cell in (row.label, *cells)))
    return table


def framed(title: str, first_column: str) -> Table:
    """A table that fits a terminal of 80 columns: a long name is wrapped, a number never."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    table.add_column(first_column)
    return table


def _label(row: StrategyRow) -> str:
    return f"{row.label} (upper bound)" if row.upper_bound else row.label


def _cells(row: StrategyRow) -> tuple[str, ...]:
    return (
        f"{row.accuracy:.3f}",
        _interval(row),
        f"{row.invalid_rate:.3f}",
        f"{row.generations:.2f}",
        f"{row.prompt_tokens:.0f}",
        f"{row.completion_tokens:.0f}",
    )


def _interval(row: StrategyRow | DifferenceRow, *, signed: bool = False) -> str:
    form = "+.3f" if signed else ".3f"
    return f"[{row.low:{form}}, {row.high:{form}}]"


def markdown_table(header: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    """Markdown, the first column to the left and numbers to the right."""
    aligned = "|".join(["---", *["---:"] * (len(header) - 1)])
    return "\n".join([f"| {' | '.join(header)} |", f"|{aligned}|", *(f"| {' | '.join(row)} |" for row in rows)])


def _markdown(rows: Sequence[Mapping[str, str]]) -> str:
    return markdown_table(list(rows[0]), (row.values() for row in rows))

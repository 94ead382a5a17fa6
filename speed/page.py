"""The rows as Markdown: a table for each benchmark, device and dtype."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from mlpo.report.table import markdown_table
from speed.measure import MODULES

Row = dict[str, Any]

HEADER = (
    "P", "G", "prompts", "ours, s", "theirs, s", "ratio", "of each repeat", "limit", "tokens/s", "peak, ours, MiB",
    "theirs", "repeats", "commit",
)  # fmt: skip
PREFACE = """\
# Ours against theirs

Written by `python -m speed` from results.json. P prompt tokens, C completion tokens, G completions of a prompt (in
(c) it stands for the load: 8 G problems). Times are medians of the repeats, a ratio is theirs over ours, and the limit
is what a shared prompt leaves to compute, G (P + C) / (P + G C). What the two sides are, and why the figures are what
they are: docs/speed.md.
"""


def page(rows: Iterable[Row]) -> str:
    """All rows, benchmarks in their order, the same device and dtype together, shapes from small to large."""
    parts = [PREFACE]
    for (_, device, dtype), found in groupby(sorted(rows, key=_order), key=_section):
        some = list(found)
        title = f"## {MODULES[some[0]['name']]}: {device}, {dtype}, C {some[0]['shape']['C']}"
        parts.append(f"{title}\n\n{markdown_table(HEADER, map(_cells, some))}\n")
    return "\n".join(parts)


def _section(row: Row) -> tuple[int, str, str]:
    return list(MODULES).index(row["name"]), row["device"], row["dtype"]


def _order(row: Row) -> tuple[tuple[int, str, str], Sequence[int]]:
    shape = row["shape"]
    return _section(row), (shape["prompts"], shape["P"], shape["G"])


def _cells(row: Row) -> list[str]:
    shape = row["shape"]
    repeats = ", ".join(f"{ratio:.2f}" for ratio in row.get("ratios", ()))
    return [
        f"{shape['P']}", f"{shape['G']}", f"{shape['prompts']}", f"{row['ours_seconds']:.1f}",
        f"{row['theirs_seconds']:.1f}", f"{row['ratio']:.2f}", repeats, f"{row['token_limit']:.2f}",
        f"{row['tokens_per_second']:.0f}", f"{row['peak_mb']:.0f}", f"{row['theirs_peak_mb']:.0f}",
        f"{row['repeats']}", row["commit"],
    ]  # fmt: skip

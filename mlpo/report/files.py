"""The report's files: the page, and the plot that DVC and the README show."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mlpo import layout
from mlpo.method.metrics import Graded
from mlpo.report.page import page
from mlpo.report.plots import Curve, accuracy_plot, png


def write_report(
    metrics: Mapping[str, Any],
    folder: Path,
    *,
    cases: Sequence[Graded] = (),
    curve: Path | None = None,
    confidence: float = 0.95,
) -> None:
    """Write report.html and accuracy.png to `folder`; the same arguments give the same bytes.

    Args:
        metrics: what metrics.json holds.
        cases: transcripts to show, with their texts (see `choose_cases`).
        curve: the CSV file with the training curve of the MLPO leader.
        confidence: of the intervals in `metrics`.
    """
    drawn = read_curve(curve) if curve and curve.is_file() else None
    html = page(metrics, cases=cases, curve=drawn, confidence=confidence)
    image = png(partial(accuracy_plot, metrics, confidence=confidence))
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in ((layout.REPORT.name, html.encode()), (layout.RESULT_PLOT.name, image)):
        unfinished = folder / f".{name}.part"
        unfinished.write_bytes(content)
        unfinished.replace(folder / name)


def read_curve(path: Path) -> Curve:
    """The columns of a training curve; an empty cell is NaN."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name] or "nan") for row in rows] for name in (rows[0] if rows else ())}

"""The report's files: a picture a plot, for DVC, MLflow, Prefect and the README, and the page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mlpo.report.drawing import png
from mlpo.report.gallery import Plot


def write_plots(plots: Sequence[Plot], folder: Path) -> None:
    """Write <name>.png of each plot to `folder`, and remove pictures that are none of them."""
    folder.mkdir(parents=True, exist_ok=True)
    for stale in set(folder.glob("*.png")) - {folder / f"{plot.name}.png" for plot in plots}:
        stale.unlink()
    for plot in plots:
        replace_file(folder / f"{plot.name}.png", png(plot.draw))


def replace_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.part")
    unfinished.write_bytes(content)
    unfinished.replace(path)

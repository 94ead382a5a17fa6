"""Progress of long work: a bar with rate and time left on a terminal, a line every few seconds in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from mlpo.progress_lines import Reached

LINE_SECONDS = 10.0
"""Seconds between two lines of a log."""

FORETOLD_SHARE = 0.02
"""From this share of the work on, a log says how long the rest takes: loading a model is no rate."""


class RateColumn(ProgressColumn):
    """Units done per second."""

    def render(self, task: Task) -> Text:
        """The rate over the last steps."""
        return Text(f"{task.speed:.1f}/s" if task.speed else "", style="progress.data.speed")


@contextmanager
def progress(
    title: str, total: int, *, unit: str, clock: Callable[[], float] = time.monotonic
) -> Iterator[Callable[[int], None]]:
    """Show how far work has come; the block calls what it gets with the number of units just done."""
    if not sys.stdout.isatty():
        yield _lines(title, total, unit, clock)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        RateColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console()) as bar:
        task = bar.add_task(title, total=total)
        yield lambda done: bar.advance(task, done)


def _lines(title: str, total: int, unit: str, clock: Callable[[], float]) -> Callable[[int], None]:
    started = said = clock()
    finished = 0

    def advance(done: int) -> None:
        nonlocal finished, said
        finished += done
        now = clock()
        if finished < total and now - said < LINE_SECONDS:
            return
        said = now
        line = str(Reached(title, finished, total, unit))
        if finished > total * FORETOLD_SHARE:
            rate = finished / max(now - started, 1e-9)
            line += f", {rate:.1f}/s, {timedelta(seconds=round(max(total - finished, 0) / rate))} left"
        print(line, flush=True)

    return advance

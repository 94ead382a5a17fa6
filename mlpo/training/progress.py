"""How far training is, what it earns and how long it will take: a bar on a terminal, lines in a log."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mlpo.progress_lines import Reached

LINE_SECONDS = 10.0
"""In a log, at most one line in so many seconds, besides the first and the last."""


class Meter:
    """Shows one step after the other. A context manager."""

    def __init__(
        self, title: str, total: int, *, start: int = 0, quiet: bool = False, console: Console | None = None
    ) -> None:
        self.console = console or Console(highlight=False, quiet=quiet)
        self._title, self._total, self._start = title, total, start
        self._began = self._said = time.monotonic()
        self._bar: Progress | None = None

    def __enter__(self) -> Meter:
        if self._start:
            self.say(f"{self._title}: resuming from step {self._start}")
        if self.console.is_terminal and not self.console.quiet:
            self._bar = Progress(
                TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                TimeRemainingColumn(), TextColumn("{task.fields[text]}"), console=self.console,
            )  # fmt: skip
            self._bar.start()
            self._task = self._bar.add_task(self._title, total=self._total, completed=self._start, text="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def say(self, line: str) -> None:
        """Print a line of its own."""
        self.console.print(line, soft_wrap=True, markup=False)

    def step(self, done: int, text: str) -> None:
        """`done` steps are finished; `text` is what the last one showed."""
        if self._bar:
            self._bar.update(self._task, completed=done, text=text)
            return
        now = time.monotonic()
        if now - self._said < LINE_SECONDS and done not in (self._start + 1, self._total):
            return
        self._said = now
        each = (now - self._began) / max(1, done - self._start)
        left = _clock(each * (self._total - done))
        self.say(f"{Reached(self._title, done, self._total, 'steps')}  {text}  {each:.1f} s a step, {left} left")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"

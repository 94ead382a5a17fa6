"""A stage that is told to stop unwinds its stack, so that its run's status can be written before the process ends."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType


@dataclass
class StopSignals:
    """What arrived while the block ran, and whether arriving now may interrupt."""

    received: list[int] = field(default_factory=list)
    shielded: bool = False

    @contextmanager
    def shield(self) -> Iterator[None]:
        """Signals in this block wait until its end: a status half written would leave a run that looks alive."""
        before, arrived = self.shielded, len(self.received)
        self.shielded = True
        try:
            yield
        finally:
            self.shielded = before
        if not before and len(self.received) > arrived:
            raise SystemExit(128 + self.received[-1])


@contextmanager
def stop_signals() -> Iterator[StopSignals]:
    """SIGTERM and SIGINT inside the block call the handler from before; if that is the default, raise SystemExit.

    The exit code is the shell's, 128 + signal. Ignored signals stay ignored. A forked child falls back to the handlers
    from before: the run is its parent's to end. Outside the main thread Python takes no handlers: nothing is changed.
    """
    state = StopSignals()
    if threading.current_thread() is not threading.main_thread():
        yield state
        return
    owner = os.getpid()
    previous = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def handle(number: int, frame: FrameType | None) -> None:
        before = previous[signal.Signals(number)]
        if os.getpid() != owner:
            signal.signal(number, before)
            os.kill(os.getpid(), number)
            return
        state.received.append(number)
        if state.shielded:
            return
        if callable(before):
            before(number, frame)
        else:
            raise SystemExit(128 + number)

    ours = [number for number, before in previous.items() if before not in (signal.SIG_IGN, None)]
    for number in ours:
        signal.signal(number, handle)
    try:
        yield state
    finally:
        for number in ours:
            if signal.getsignal(number) is handle:
                signal.signal(number, previous[number])

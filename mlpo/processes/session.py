"""A program in a session of its own: what a terminal or a supervisor signals reaches it, and it alone."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence

PASSED_ON = {signal.SIGINT: signal.SIGINT, signal.SIGTERM: signal.SIGTERM, signal.SIGHUP: signal.SIGTERM}
"""Signal received -> signal sent. A closed terminal means: end in order."""


def run_in_session(command: Sequence[str]) -> int:
    """Run a program, pass signals on to it, and return its exit code (128 + n if signal n ended it).

    A terminal sends Ctrl-C to its whole foreground group. In a session of its own, the program's helpers, such as
    Prefect's temporary server, outlive that signal, and can still be told how the program ended.
    """
    with subprocess.Popen(command, start_new_session=True) as process:
        before = {
            number: signal.signal(number, lambda received, _: process.send_signal(PASSED_ON[signal.Signals(received)]))
            for number in PASSED_ON
        }
        try:
            code = process.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    return code if code >= 0 else 128 - code

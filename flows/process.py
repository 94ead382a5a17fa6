"""A command in a process group of its own: its lines as they come, and nothing of it that survives the flow."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import IO, NamedTuple

from mlpo.processes.process_group import end_group, kept

GRACE_SECONDS = 15
"""From SIGTERM to SIGKILL: time for a stage to close its MLflow run and its files. A worker grants its flows 30 s."""
PROGRESS_SECONDS = 10
"""A progress bar redraws one line; this often its newest picture is logged."""
WATCH_SECONDS = 1.0
"""How often a flow looks whether its worker is still there."""


class Ended(NamedTuple):
    """How a command ended."""

    exit_code: int
    lines: list[str]
    """What it said, as it was logged."""


def run_kept(
    command: Sequence[str],
    folder: Path,
    *,
    log: Callable[[str], object],
    flow_run_id: str,
    skip: Callable[[str], object] = lambda _: False,
) -> Ended:
    """Run a command in `folder` and log its lines, without those to skip.

    Its group is ended however this returns, and also if this process is killed: a keeper sees the pipe to it close.
    """
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "MLPO_FLOW_RUN_ID": flow_run_id,
        "PYTHONUNBUFFERED": "1",
    }
    with subprocess.Popen(
        kept([*command]),
        cwd=folder,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        lines = []
        try:
            assert process.stdout is not None
            for line in _lines(process.stdout):
                if not skip(line):
                    log(line)
                    lines.append(line)
            code = process.wait()
        finally:
            end_group(process.pid, GRACE_SECONDS)
    return Ended(code, lines)


@contextmanager
def ends_with_parent() -> Iterator[None]:
    """Inside the block this process tells itself to stop (SIGTERM) when the process that started it is gone.

    (Linux alone can send a signal at a parent's death, and sends it already when the thread ends that started us.)
    """
    parent, over = os.getppid(), threading.Event()

    def watch() -> None:
        while not over.wait(WATCH_SECONDS):
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGTERM)
                return

    threading.Thread(target=watch, name="ends with parent", daemon=True).start()
    try:
        yield
    finally:
        over.set()


def ends_with_worker() -> AbstractContextManager[None]:
    """`ends_with_parent` where a Prefect worker started this process, else nothing.

    A worker that is killed leaves its flows running: nobody could cancel them, and what is asked for again would meet
    them at work on the same files.
    """
    return ends_with_parent() if "PREFECT__FLOW_RUN_ID" in os.environ else nullcontext()


def _lines(pipe: IO[bytes]) -> Iterator[str]:
    """Whole lines as they come; of a progress bar, which ends no line, its picture every `PROGRESS_SECONDS`."""
    rest, shown = b"", time.monotonic()
    while chunk := os.read(pipe.fileno(), 65536):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if text := _picture(line):
                yield text
        if b"\r" in rest and time.monotonic() - shown > PROGRESS_SECONDS and (text := _picture(rest)):
            yield text
            shown = time.monotonic()
    if text := _picture(rest):
        yield text


def _picture(line: bytes) -> str:
    """What a terminal would show of a line that was redrawn with carriage returns."""
    return line.rstrip(b"\r").rsplit(b"\r", 1)[-1].decode(errors="replace").rstrip()

"""Runs a program in a process group that ends with the process that wanted it: `python keeper.py PROGRAM ARGUMENT...`

It waits for the end of its standard input, a pipe that its parent holds. However the parent ends, killed too, the pipe
closes, and the whole group is ended. Started by its path: it imports nothing but the standard library.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

GRACE_SECONDS = 20.0
"""From SIGTERM to SIGKILL for the program."""
REST_SECONDS = 1.0
"""What is left of the group after the program's end has this long."""


def main(command: list[str]) -> int:
    """Run the program until it ends or the parent does; must be the leader of its process group."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it is for the others of the group
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_default_signals) as program:
        alone = threading.Event()
        watch = threading.Thread(target=_end_with_parent, args=(program, alone), daemon=True)
        watch.start()
        code = program.wait()
    if alone.is_set():
        watch.join()
    return code if code >= 0 else 128 - code


def _default_signals() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _end_with_parent(program: subprocess.Popen[bytes], alone: threading.Event) -> None:
    os.read(0, 1)  # the parent writes nothing: this is the end of the pipe
    alone.set()
    os.killpg(0, signal.SIGTERM)
    try:
        program.wait(GRACE_SECONDS)
        time.sleep(REST_SECONDS)
    except subprocess.TimeoutExpired:
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Runs a program in a process group that ends with the process that wanted it: `python -P keeper.py PROGRAM ARG...`

It waits for the end of its standard input, a pipe that its parent holds. However the parent ends, killed too, the pipe
closes, and the whole group is ended. Started by its path, without its folder on Python's: it imports nothing of ours.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import psutil

GRACE_SECONDS = 20.0
"""From SIGTERM to SIGKILL for the group of a parent that is gone."""
POLL_SECONDS = 0.05


def kept(command: list[str]) -> list[str]:
    """The command line that runs a program under a keeper; give it a pipe as input and a session of its own."""
    return [sys.executable, "-P", __file__, *command]


def main(command: list[str]) -> int:
    """Run the program until it ends or the parent does; must be the leader of its process group."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it is for the others of the group
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_default_signals) as program:
        alone = threading.Event()
        watch = threading.Thread(target=_end_with_parent, args=(alone,), daemon=True)
        watch.start()
        code = program.wait()
    if alone.is_set():
        watch.join()
    return code if code >= 0 else 128 - code


def _default_signals() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _end_with_parent(alone: threading.Event) -> None:
    os.read(0, 1)  # the parent writes nothing: this is the end of the pipe
    alone.set()
    end_group(os.getpgid(0), GRACE_SECONDS)


def end_group(group: int, grace_seconds: float) -> None:
    """End every process of a group: SIGTERM, and SIGKILL for what is left after the grace time.

    A caller who is a member waits for the others, and is killed with those that are left.
    """
    deadline = time.monotonic() + grace_seconds
    try:
        os.killpg(group, signal.SIGTERM)
        while _has_others(group) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
    except ProcessLookupError:
        return
    finally:  # also when the wait itself is interrupted: a second Ctrl-C means now
        if _has_others(group):
            os.killpg(group, signal.SIGKILL)


def _has_others(group: int) -> bool:
    """Whether a group has a member beside us that is no zombie: those wait for a parent to notice, and hold nothing."""
    for process in psutil.process_iter(["status"]):
        if process.pid == os.getpid() or process.info["status"] == psutil.STATUS_ZOMBIE:
            continue
        try:
            if os.getpgid(process.pid) == group:
                return True
        except (ProcessLookupError, PermissionError):  # it ended while we looked, or is not ours
            continue
    return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

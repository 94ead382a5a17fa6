"""Are two mathematical expressions equal? Asked of a worker process of its own, which ends when it takes too long.

What two expressions mean is `mlpo.formulas`. An answer can ask for digits without end, so one comparison has a limit of
CPU time, which a busy machine does not shorten, and of memory; both are set inside the worker, and end it even if its
parent is gone. A comparison that is cut off has no result: it is an error, or a warning, never a silent "not equal".
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import resource
import signal
import subprocess
import sys
import threading
from functools import cache, lru_cache
from multiprocessing.connection import Connection, Pipe

MAX_CHARS = 400
"""Longer expressions are not compared."""
MAX_MEMORY_BYTES = 4 * 1024**3
"""Address space of the worker."""
LIMIT_SECONDS = 5.0
"""One comparison may take so many seconds of CPU time."""
START_SECONDS = 120.0
"""The worker may take so long to start, by the clock."""
SILENT_SECONDS = 600.0
"""A worker that says nothing for so long, by the clock, was stopped by somebody."""


class GradingError(RuntimeError):
    """The worker that compares expressions cannot be started, or ends without a result."""


class UndecidedError(GradingError):
    """Two expressions could not be compared; others can."""


class ComparisonTimeoutError(UndecidedError):
    """Two expressions take more CPU time to compare than one comparison may."""


class EquivalenceWorker:
    """`worker(answer, target)` compares two expressions in its own process: started at the first call and after a kill.

    Safe to call from several threads (one comparison at a time) and after a fork.
    """

    def __init__(self, *, limit_seconds: float = LIMIT_SECONDS) -> None:
        self.limit_seconds = limit_seconds
        self.num_timeouts = 0
        """Comparisons that were cut off."""
        self.num_deaths = 0
        """Workers that ended by themselves, for want of memory or by somebody's kill."""
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._owner = 0

    @property
    def pid(self) -> int | None:
        """The worker's process id while it runs."""
        return self._process.pid if self._process else None

    def __call__(self, answer: str, target: str) -> bool:
        """Equal?

        Raises:
            ComparisonTimeoutError: that would take more than `limit_seconds` of CPU time.
            UndecidedError: two workers ended without a result.
            GradingError: no worker can be started.
        """
        if max(len(answer), len(target)) > MAX_CHARS:
            return False
        with self._lock:
            for _ in range(2):  # a worker that was killed from outside deserves a second one
                with contextlib.suppress(EOFError, ConnectionError):
                    return self._ask(answer, target)
                self.num_deaths += 1
        raise UndecidedError(f"two workers ended while they compared {answer!r} with {target!r}")

    def close(self) -> None:
        """End the worker; the next call starts another."""
        process, connection = self._process, self._connection
        self._process = self._connection = None
        if connection:
            connection.close()
        if process and self._owner == os.getpid():  # after a fork the worker stays the parent's
            process.kill()
            process.wait()

    def _ask(self, answer: str, target: str) -> bool:
        connection = self._running()
        equal: bool | None = None
        try:
            connection.send((answer, target, self.limit_seconds))
            if not connection.poll(SILENT_SECONDS):
                raise GradingError(
                    f"no word in {SILENT_SECONDS:.0f} s about {answer!r} and {target!r}: a stopped worker?"
                )
            equal = bool(connection.recv())
        except (EOFError, ConnectionError):
            if self._process and self._process.wait() == -signal.SIGPROF:
                self.num_timeouts += 1
                raise ComparisonTimeoutError(
                    f"{answer!r} and {target!r} take more than {self.limit_seconds:g} s of CPU time to compare"
                ) from None
            raise
        finally:
            if equal is None:  # also on Ctrl-C: a late reply must never be taken for the next one
                self.close()
        return equal

    def _running(self) -> Connection:
        if self._connection is None or self._owner != os.getpid():
            self.close()
            self._connection = self._start()
        return self._connection

    def _start(self) -> Connection:
        ours, theirs = Pipe()
        self._owner = os.getpid()
        command = [sys.executable, "-m", "mlpo.equivalence", str(theirs.fileno())]
        self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        theirs.close()
        try:
            if ours.poll(START_SECONDS) and ours.recv() == "ready":
                return ours
        except EOFError:
            pass  # it died while starting; its own message is on stderr
        ours.close()
        self.close()
        raise GradingError(f"the worker that compares expressions did not start ({' '.join(command)})")


def is_equivalent(answer: str, target: str) -> bool:
    r"""Do two expressions (LaTeX or plain, without dollars) mean the same? "\frac{1}{2}" is "0.5".

    What cannot be decided is not, and a warning says so; it is asked again when it comes again.

    Raises:
        GradingError: no worker can be started.
    """
    try:
        return decided(answer, target)
    except UndecidedError as error:
        logging.getLogger(__name__).warning("%s; graded as different", error)
        return False


@lru_cache(maxsize=65536)
def decided(answer: str, target: str) -> bool:
    """`is_equivalent` for whom "not known" is not "no", such as a reward. One worker serves a process.

    Raises:
        UndecidedError: it takes too long, or ends its workers; nothing is kept.
        GradingError: no worker can be started.
    """
    return answer == target or _worker()(answer, target)


@cache
def _worker() -> EquivalenceWorker:
    worker = EquivalenceWorker()
    atexit.register(worker.close)
    return worker


def _serve(connection: Connection) -> None:
    """The worker's life: compare what comes until the caller hangs up."""
    from mlpo.formulas.equal import equal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the caller's; it hangs up
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # the end of the CPU time is the end of this process
    with contextlib.suppress(ValueError, OSError):  # not every system limits address space
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    connection.send("ready")
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            answer, target, limit_seconds = connection.recv()
            signal.setitimer(signal.ITIMER_PROF, limit_seconds)
            same = equal(answer, target)
            signal.setitimer(signal.ITIMER_PROF, 0)
            connection.send(same)


if __name__ == "__main__":
    _serve(Connection(int(sys.argv[1])))

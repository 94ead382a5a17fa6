"""Are two mathematical expressions equal? math-verify in a worker process of its own, killed when it takes too long.

math-verify limits its time with signals, which fail outside the main thread, and sympy can hang on 10^{10^{10}}. So its
own limits are off and the worker has hard ones: the caller's clock, and CPU seconds and memory set inside the worker,
which end it even if its parent is gone.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import math
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
"""One comparison may take so long; then it is "not equal"."""
START_SECONDS = 120.0
"""The worker may take so long to import math-verify."""


class GradingError(RuntimeError):
    """The worker that compares expressions cannot be started."""


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
        """Equal? What takes too long, or kills the worker twice, is not.

        Raises:
            GradingError: no worker can be started.
        """
        if max(len(answer), len(target)) > MAX_CHARS:
            return False
        with self._lock:
            for _ in range(2):  # a worker that was killed from outside deserves a second one
                with contextlib.suppress(EOFError, ConnectionError):
                    return self._ask(answer, target)
                self.num_deaths += 1
        return False

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
            if connection.poll(self.limit_seconds):
                equal = bool(connection.recv())
            else:
                self.num_timeouts += 1
        finally:
            if equal is None:  # also on Ctrl-C: a late reply must never be taken for the next one
                self.close()
        return bool(equal)

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
        raise GradingError(f"the math-verify worker did not start ({' '.join(command)}); is math-verify installed?")


@lru_cache(maxsize=65536)
def is_equivalent(answer: str, target: str) -> bool:
    r"""Do two expressions (LaTeX or plain, without dollars) mean the same? "\frac{1}{2}" is "0.5".

    One worker serves this process; equal questions are asked once.
    """
    return answer == target or _worker()(answer, target)


@cache
def _worker() -> EquivalenceWorker:
    worker = EquivalenceWorker()
    atexit.register(worker.close)
    return worker


def _serve(connection: Connection) -> None:
    """The worker's life: compare what comes until the caller hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the caller's; it hangs up
    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that its own limits are off
    with contextlib.suppress(ValueError, OSError):  # not every system limits address space
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    _verify("x^2", "x*x")  # sympy's lazy imports belong to the start
    connection.send("ready")
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            answer, target, limit_seconds = connection.recv()
            _limit_cpu(limit_seconds)
            connection.send(_verify(answer, target))


def _verify(answer: str, target: str) -> bool:
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify

    rules = [LatexExtractionConfig(), ExprExtractionConfig()]
    try:
        read = [parse(f"${text}$", rules, parsing_timeout=None) for text in (target, answer)]
        return bool(read[0] and read[1] and verify(*read, timeout_seconds=None))
    except Exception:  # noqa: BLE001 - sympy raises anything on junk, and what cannot be compared is not equal
        return False


def _limit_cpu(seconds: float) -> None:
    """From now on so many CPU seconds (rounded up, and one more) until SIGXCPU ends this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime + seconds) + 1, hard))


if __name__ == "__main__":
    _serve(Connection(int(sys.argv[1])))

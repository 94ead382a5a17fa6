"""A backend that answers for a dead model with failures, for a while, and then asks it again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from mlpo.agents.backend import Backend, DeadModelError, OnAnswer, failed
from mlpo.types import Completion, Request

REST_SECONDS = 30.0
"""A model found dead is left alone for so long."""


class SparingBackend:
    """Asks `inner` and, where that is dead, answers at once that it is."""

    def __init__(self, inner: Backend, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._inner = inner
        self._clock = clock
        self._dead_until = float("-inf")
        self._reason = ""

    def check(self, requests: Iterable[Request]) -> None:
        """As the inner backend."""
        self._inner.check(requests)

    def generate(self, requests: Sequence[Request], on_answer: OnAnswer | None = None) -> list[Completion]:
        """Answer every request; those of a dead model come back failed."""
        if self._clock() >= self._dead_until:
            try:
                return self._inner.generate(requests, on_answer)
            except DeadModelError as dead:
                self._dead_until, self._reason = self._clock() + REST_SECONDS, str(dead)
        return [failed(request, self._reason) for request in requests]

    def close(self) -> None:
        """As the inner backend."""
        self._inner.close()

"""A circuit breaker: after a model died or refused all, its requests fail at once; after a while it is tried again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from mlpo.config import ConfigError
from mlpo.inference.backend import Backend, DeadModelError, OnAnswer, failed
from mlpo.types import Completion, Request

REST_SECONDS = 30.0
"""A model that could not answer is left alone for so long."""


class CircuitBreaker:
    """Asks `inner` and, where that can't answer, says so of every request, at once."""

    def __init__(self, inner: Backend, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._inner = inner
        self._clock = clock
        self._dead_until = float("-inf")
        self._reason = ""

    def check(self, requests: Iterable[Request]) -> None:
        """As the inner backend."""
        self._inner.check(requests)

    def generate(self, requests: Sequence[Request], on_answer: OnAnswer | None = None) -> list[Completion]:
        """Answer every request; those of a model that is dead or refuses all come back failed."""
        if self._clock() >= self._dead_until:
            try:
                return self._inner.generate(requests, on_answer)
            except (DeadModelError, ConfigError) as error:
                self._dead_until, self._reason = self._clock() + REST_SECONDS, str(error)
        return [failed(request, self._reason) for request in requests]

    def close(self) -> None:
        """As the inner backend."""
        self._inner.close()

"""The one seam to models: requests in, completions out, in the same order."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Protocol

from mlpo.config import ConfigError
from mlpo.types import Completion, Request

OnAnswer = Callable[[int, Completion], None]
"""(place of the request, its completion), as soon as it is there."""
OnText = Callable[[Request, Callable[[], str]], None]
"""(request, its text so far), at every token of a completion. Decoding costs, so the text comes by a call."""


class TransientError(RuntimeError):
    """A server was down or an engine died: the same call may work later. The command line exits with 75."""


class DeadModelError(TransientError):
    """A model's server stays dead: whatever else is asked of it now will fail too."""


class AllRefusedError(ConfigError):
    """A server is well and refuses every request: the parameters ask for what it does not do. All were heard of."""


class Backend(Protocol):
    """Whatever can answer requests: a model in this process, a server, a script."""

    def check(self, requests: Iterable[Request]) -> None:
        """Refuse what can never be answered, before anything is asked.

        Raises:
            ConfigError: a prompt does not fit the model's context; the message names model, problem and limit.
        """

    def generate(self, requests: Sequence[Request], on_answer: OnAnswer | None = None) -> list[Completion]:
        """Answer every request, in order. One that fails comes back with finish_reason "error".

        Args:
            on_answer: hears of answers that come one by one, so that they outlive what stops the rest.
        Raises:
            TransientError: it cannot answer now.
        """

    def close(self) -> None:
        """Let go of memory and processes; it is not asked again."""


def failed(request: Request, reason: str, *, prompt_tokens: int = 0) -> Completion:
    """The completion that says why there is none."""
    return Completion(
        problem_id=request.problem_id,
        model=request.model,
        text="",
        finish_reason="error",
        prompt_tokens=prompt_tokens,
        completion_tokens=0,
        sample=request.sample,
        error=reason,
        passages=request.passages,
    )


class DeferredBackend:
    """Opens the real backend when the first request comes: a run that finds everything kept loads no model."""

    def __init__(self, open_backend: Callable[[], Backend]) -> None:
        self._open = open_backend
        self._backend: Backend | None = None
        self._lock = threading.Lock()

    def check(self, requests: Iterable[Request]) -> None:
        """As the real backend; opens it only if there is a request."""
        remaining = iter(requests)
        for first in remaining:
            self._opened().check(chain([first], remaining))

    def generate(self, requests: Sequence[Request], on_answer: OnAnswer | None = None) -> list[Completion]:
        """As the real backend; opens it only if there is a request."""
        return self._opened().generate(requests, on_answer) if requests else []

    def close(self) -> None:
        """Let go of the real backend and its memory; the next request opens it again."""
        if self._backend is not None:
            self._backend.close()
            self._backend = None
            gc.collect()  # models hold cycles

    def _opened(self) -> Backend:
        with self._lock:
            if self._backend is None:
                self._backend = self._open()
            return self._backend

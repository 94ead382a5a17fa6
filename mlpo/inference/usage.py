"""What models were asked for and how long they took: generations, tokens and seconds, by who asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field

from mlpo.inference.backend import Backend, OnAnswer
from mlpo.types import Completion, Request


@dataclass(slots=True)
class Usage:
    """What one model did."""

    generations: int = 0
    errors: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    model_seconds: float = 0.0

    def add(self, completions: Sequence[Completion], seconds: float) -> None:
        """Count these completions and the time they took."""
        self.generations += len(completions)
        self.errors += sum(c.finish_reason == "error" for c in completions)
        self.prompt_tokens += sum(c.prompt_tokens for c in completions)
        self.completion_tokens += sum(c.completion_tokens for c in completions)
        self.model_seconds += seconds

    @property
    def seconds_per_token(self) -> float:
        """Model seconds per token of prompt and completion; 0 if it did nothing."""
        tokens = self.prompt_tokens + self.completion_tokens
        return self.model_seconds / tokens if tokens else 0.0


@dataclass(slots=True)
class GenerationLedger:
    """Generations, tokens and seconds per model."""

    models: dict[str, Usage] = field(default_factory=dict)

    def add(self, completions: Sequence[Completion], seconds: float) -> None:
        """Count one batch; models that shared it share its seconds in proportion to their tokens."""
        by_model: dict[str, list[Completion]] = {}
        for completion in completions:
            by_model.setdefault(completion.model, []).append(completion)
        total = sum(map(_tokens, completions)) or 1
        for model, theirs in by_model.items():
            self.models.setdefault(model, Usage()).add(theirs, seconds * sum(map(_tokens, theirs)) / total)

    @property
    def model_seconds(self) -> float:
        """Seconds spent in models."""
        return sum(usage.model_seconds for usage in self.models.values())

    def as_rows(self) -> dict[str, dict[str, float]]:
        """Plain numbers per model, for a JSON file or a tracker."""
        return {model: asdict(usage) for model, usage in sorted(self.models.items())}


class MeteredBackend:
    """Passes requests on and enters what they cost in a ledger. Kept completions never come here and cost nothing."""

    def __init__(self, inner: Backend, ledger: GenerationLedger) -> None:
        self._inner = inner
        self._ledger = ledger
        self._lock = threading.Lock()

    def check(self, requests: Iterable[Request]) -> None:
        """As the inner backend."""
        self._inner.check(requests)

    def generate(self, requests: Sequence[Request], on_answer: OnAnswer | None = None) -> list[Completion]:
        """As the inner backend, timed; if it stops, what it had answered is entered."""
        started = time.perf_counter()
        answered: list[Completion] = []

        def listen(place: int, completion: Completion) -> None:
            answered.append(completion)
            if on_answer is not None:
                on_answer(place, completion)

        try:
            answered = self._inner.generate(requests, listen)
        finally:
            with self._lock:
                self._ledger.add(answered, time.perf_counter() - started)
        return answered

    def close(self) -> None:
        """As the inner backend."""
        self._inner.close()


def _tokens(completion: Completion) -> int:
    return completion.tokens

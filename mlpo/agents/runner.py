"""Advances thousands of strategies in lockstep, so that what they ask of one model goes out in one batch."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice

from mlpo.agents.backend import Backend
from mlpo.types import Completion, Request, StrategyRun, Transcript

WINDOW = 4096
"""Strategies alive at a time: large enough to fill batches, small enough that memory is flat in the problems."""


@dataclass(slots=True)
class Usage:
    """What one model was asked for. Kept completions count, their seconds were paid when they were made."""

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
        """Seconds spent in backends."""
        return sum(usage.model_seconds for usage in self.models.values())

    def as_rows(self) -> dict[str, dict[str, float]]:
        """Plain numbers per model, for a JSON file or a tracker."""
        return {model: asdict(usage) for model, usage in sorted(self.models.items())}


def _tokens(completion: Completion) -> int:
    return completion.prompt_tokens + completion.completion_tokens


def run_strategies(
    runs: Iterable[StrategyRun], backends: Mapping[str, Backend], *, ledger: GenerationLedger | None = None
) -> list[Transcript]:
    """The transcripts of all runs, in their order; see `stream_strategies`."""
    return list(stream_strategies(runs, backends, ledger=ledger))


def stream_strategies(
    runs: Iterable[StrategyRun],
    backends: Mapping[str, Backend],
    *,
    ledger: GenerationLedger | None = None,
    window: int = WINDOW,
) -> Iterator[Transcript]:
    """Advance `window` runs at a time in lockstep and yield their transcripts in order.

    Names mapped to one and the same backend object are batched together.

    Raises:
        ValueError: a run asks for a model that has no backend.
    """
    ledger = ledger if ledger is not None else GenerationLedger()
    remaining = iter(runs)
    while alive := list(islice(remaining, window)):
        yield from _lockstep(alive, backends, ledger)


def _lockstep(
    runs: Sequence[StrategyRun], backends: Mapping[str, Backend], ledger: GenerationLedger
) -> list[Transcript]:
    asked: dict[int, list[Request]] = {}
    ended: dict[int, Transcript] = {}

    def advance(index: int, completions: list[Completion] | None) -> None:
        run = runs[index]
        try:
            asked[index] = next(run) if completions is None else run.send(completions)
        except StopIteration as stop:
            asked.pop(index, None)
            ended[index] = stop.value

    for index in range(len(runs)):
        advance(index, None)
    while asked:
        for index, completions in _answer(asked, backends, ledger).items():
            advance(index, completions)
    return [ended[index] for index in range(len(runs))]


def _answer(
    asked: Mapping[int, Sequence[Request]], backends: Mapping[str, Backend], ledger: GenerationLedger
) -> dict[int, list[Completion]]:
    """One call per backend for everything asked of it; the answers sorted back to who asked."""
    places: dict[int, list[tuple[int, int]]] = {}
    for index, requests in asked.items():
        for position, request in enumerate(requests):
            if request.model not in backends:
                raise ValueError(f"no backend for model {request.model!r}; there are {', '.join(sorted(backends))}")
            places.setdefault(id(backends[request.model]), []).append((index, position))
    answers: dict[tuple[int, int], Completion] = {}
    for theirs in places.values():
        theirs.sort(key=lambda place: asked[place[0]][place[1]].model)  # neighbours share an agent's worked examples
        batch = [asked[index][position] for index, position in theirs]
        started = time.perf_counter()
        completions = backends[batch[0].model].generate(batch)
        ledger.add(completions, time.perf_counter() - started)
        answers.update(zip(theirs, completions, strict=True))
    return {index: [answers[index, position] for position in range(len(r))] for index, r in asked.items()}

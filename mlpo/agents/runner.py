"""Advances thousands of strategies in lockstep, so that what they ask of one model goes out in one batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from mlpo.agents.backend import Backend
from mlpo.types import Completion, Request, StrategyRun, Transcript

WINDOW = 4096
"""Strategies alive at a time: large enough to fill batches, small enough that memory is flat in the problems."""


def run_strategies(runs: Iterable[StrategyRun], backends: Mapping[str, Backend]) -> list[Transcript]:
    """The transcripts of all runs, in their order; see `stream_strategies`."""
    return list(stream_strategies(runs, backends))


def stream_strategies(
    runs: Iterable[StrategyRun],
    backends: Mapping[str, Backend],
    *,
    window: int = WINDOW,
) -> Iterator[Transcript]:
    """Advance `window` runs at a time in lockstep and yield their transcripts in order.

    Names mapped to one and the same backend object are batched together.

    Raises:
        ValueError: a run asks for a model that has no backend.
    """
    remaining = iter(runs)
    while alive := list(islice(remaining, window)):
        yield from _lockstep(alive, backends)


def _lockstep(runs: Sequence[StrategyRun], backends: Mapping[str, Backend]) -> list[Transcript]:
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
        for index, completions in _answer(asked, backends).items():
            advance(index, completions)
    return [ended[index] for index in range(len(runs))]


def _answer(asked: Mapping[int, Sequence[Request]], backends: Mapping[str, Backend]) -> dict[int, list[Completion]]:
    """One call per backend for everything asked of it, once all is checked; the answers sorted back to who asked."""
    places: dict[int, list[tuple[int, int]]] = {}
    for index, requests in asked.items():
        for position, request in enumerate(requests):
            if request.model not in backends:
                raise ValueError(f"no backend for model {request.model!r}; there are {', '.join(sorted(backends))}")
            places.setdefault(id(backends[request.model]), []).append((index, position))
    batches: list[list[Request]] = []
    for theirs in places.values():
        theirs.sort(key=lambda place: asked[place[0]][place[1]].model)  # neighbours share an agent's worked examples
        batches.append([asked[index][position] for index, position in theirs])
        backends[batches[-1][0].model].check(batches[-1])
    answers: dict[tuple[int, int], Completion] = {}
    for theirs, batch in zip(places.values(), batches, strict=True):
        answers.update(zip(theirs, backends[batch[0].model].generate(batch), strict=True))
    return {index: [answers[index, position] for position in range(len(r))] for index, r in asked.items()}

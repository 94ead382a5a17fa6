"""Advances thousands of strategies in lockstep, so that what they ask of one model goes out in one batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from mlpo.inference.backend import Backend
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


class Lockstep:
    """Runs that advance together: a step answers what all of them ask, in one batch a backend.

    Between two steps a run may join and another leave. After a step that raised, the runs can't go on.
    """

    def __init__(self, backends: Mapping[str, Backend]) -> None:
        self._backends = backends
        self._runs: dict[int, StrategyRun] = {}
        self._asked: dict[int, list[Request]] = {}

    def __len__(self) -> int:
        return len(self._runs)

    def add(self, index: int, run: StrategyRun) -> Transcript | None:
        """Let a run begin, under a number of its own; its transcript if it asks nothing."""
        self._runs[index] = run
        return self._advance(index, None)

    def drop(self, index: int) -> None:
        """Let a run go unfinished."""
        self._runs.pop(index).close()
        del self._asked[index]

    def step(self) -> dict[int, Transcript]:
        """Answer what every run asks now; the transcripts of those that have ended.

        Raises:
            ValueError: a run asks for a model that has no backend.
        """
        ended: dict[int, Transcript] = {}
        for index, completions in _answer(self._asked, self._backends).items():
            transcript = self._advance(index, completions)
            if transcript is not None:
                ended[index] = transcript
        return ended

    def _advance(self, index: int, completions: list[Completion] | None) -> Transcript | None:
        run = self._runs[index]
        try:
            self._asked[index] = next(run) if completions is None else run.send(completions)
        except StopIteration as stop:
            del self._runs[index]
            self._asked.pop(index, None)
            transcript: Transcript = stop.value
            return transcript
        return None


def _lockstep(runs: Sequence[StrategyRun], backends: Mapping[str, Backend]) -> list[Transcript]:
    together = Lockstep(backends)
    begun = {index: together.add(index, run) for index, run in enumerate(runs)}
    ended = {index: transcript for index, transcript in begun.items() if transcript is not None}
    while together:
        ended |= together.step()
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

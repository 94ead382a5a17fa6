"""The cache of completions: what was asked before is answered from it, the inner backend answers the rest."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from mlpo.inference.backend import AllRefusedError, Backend, DeadModelError, OnAnswer, failed
from mlpo.types import Completion, Request

CHUNK = 256
"""Requests asked of an inner backend that batches at a time: what a killed process loses at most."""


class CachedBackend:
    """Answers from `kept` what is there, asks `inner` for the rest and keeps it.

    Chunks are cut from all requests, not from the missing ones, so that a run that goes on after a kill sends the same
    batches as one that was never stopped, and gets the same bytes. Failures are answered but not kept: the next run
    asks again.
    """

    def __init__(
        self,
        inner: Backend,
        kept: MutableMapping[str, Completion],
        key: Callable[[Request], str],
        *,
        one_by_one: bool = False,
        parallel: int = 1,
        on_done: Callable[[int], None] | None = None,
        on_dead: Callable[[DeadModelError, Sequence[Request]], None] | None = None,
    ) -> None:
        """A backend over `inner`.

        Args:
            key: a request's content key for this backend's model.
            one_by_one: the inner backend's answers come one by one and in no batches, so none are cut for it.
            parallel: chunks asked at a time, each from a thread of its own.
            on_done: hears how many were answered.
            on_dead: hears what a dead model leaves unanswered, now and later; unless it raises, those come back failed.
        """
        self._inner = inner
        self._kept = kept
        self.key = key
        """A request's content key."""
        self._one_by_one = one_by_one
        self._parallel = parallel
        self._lock = threading.Lock()
        self._on_done = on_done or (lambda number: None)
        self._on_dead = on_dead
        self._dead: DeadModelError | None = None
        self.num_asked = 0
        """Requests that the inner backend answered."""
        self.num_kept = 0
        """Requests answered without it."""

    def check(self, requests: Iterable[Request]) -> None:
        """Check what would have to be asked."""
        self._inner.check(request for request in requests if self.key(request) not in self._kept)

    def generate(self, requests: Sequence[Request], on_answer: OnAnswer | None = None) -> list[Completion]:
        """Answer every request in order; equal ones are asked once, but for chunks that are under way at a time."""
        chunks = [requests] if self._one_by_one else _chunks(requests)
        if self._parallel == 1:
            return [completion for chunk in chunks for completion in self._generate_chunk(chunk)]
        pool = ThreadPoolExecutor(self._parallel)
        answers = [pool.submit(self._generate_chunk, chunk) for chunk in chunks]
        try:
            return [completion for answer in answers for completion in answer.result()]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            self._inner.close()  # so that nobody waits for what is under way
            raise
        finally:
            pool.shutdown()

    def close(self) -> None:
        """As the inner backend."""
        self._inner.close()

    def _generate_chunk(self, requests: Sequence[Request]) -> list[Completion]:
        keys = [self.key(request) for request in requests]
        missing = {k: r for k, r in zip(keys, requests, strict=True) if k not in self._kept}
        with self._lock:
            self.num_kept += len(requests) - len(missing)
            self._on_done(len(requests) - len(missing))
        new = self._ask(missing) if missing else {}
        return [_stamped(new.get(k) or self._kept[k], r) for k, r in zip(keys, requests, strict=True)]

    def _ask(self, missing: Mapping[str, Request]) -> dict[str, Completion]:
        """The completions of what is missing, by key; each is kept as soon as it is there.

        Raises:
            AllRefusedError: all is refused, and nothing kept shows that the model ever answered.
        """
        keys, requests = list(missing), list(missing.values())
        new: dict[str, Completion] = {}

        def keep(place: int, completion: Completion) -> None:
            new[keys[place]] = completion
            with self._lock:
                if completion.finish_reason != "error":
                    self._kept[keys[place]] = completion
                self.num_asked += 1
                self._on_done(1)

        try:
            if self._dead is None:
                for place, completion in enumerate(self._inner.generate(requests, keep)):
                    if keys[place] not in new:
                        keep(place, completion)
        except AllRefusedError as refusal:
            if not self.num_kept:
                raise  # else what is refused is what an earlier run left, and data as it was then
            for place, request in enumerate(requests):
                if keys[place] not in new:  # a backend that answers all at once was not heard
                    keep(place, failed(request, str(refusal)))
        except DeadModelError as dead:
            self._dead = dead
        if self._dead is not None:
            new |= self._left(self._dead, {key: request for key, request in missing.items() if key not in new})
        return new

    def _left(self, dead: DeadModelError, unanswered: Mapping[str, Request]) -> dict[str, Completion]:
        """What a dead model leaves unanswered comes back failed, if that may be.

        Raises:
            DeadModelError: it may not.
        """
        if self._on_dead is None:
            raise dead
        self._on_dead(dead, list(unanswered.values()))
        with self._lock:
            self._on_done(len(unanswered))
        return {key: failed(request, str(dead)) for key, request in unanswered.items()}


def _stamped(completion: Completion, request: Request) -> Completion:
    """The completion in the name of who asks now: a key says nothing of names, problem ids and sources."""
    return replace(
        completion,
        problem_id=request.problem_id,
        model=request.model,
        sample=request.sample,
        passages=request.passages,
    )


def _chunks(requests: Sequence[Request]) -> Iterator[Sequence[Request]]:
    return (requests[start : start + CHUNK] for start in range(0, len(requests), CHUNK))

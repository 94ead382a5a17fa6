"""A backend that never asks twice: kept completions first, the inner backend for the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from dataclasses import replace

from mlpo.agents.backend import Backend
from mlpo.types import Completion, Request

CHUNK = 256
"""Requests asked of the inner backend at a time: what a killed process loses at most."""


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
        on_done: Callable[[int], None] | None = None,
    ) -> None:
        """`key` is a request's content key for this backend's model; `on_done` hears how many were answered."""
        self._inner = inner
        self._kept = kept
        self.key = key
        """A request's content key."""
        self._on_done = on_done
        self.num_asked = 0
        """Requests that went to the inner backend."""
        self.num_kept = 0
        """Requests answered without it."""

    def check(self, requests: Iterable[Request]) -> None:
        """Check what would have to be asked."""
        self._inner.check(request for request in requests if self.key(request) not in self._kept)

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        """Answer every request in order; equal requests are asked once."""
        return [completion for chunk in _chunks(requests) for completion in self._generate_chunk(chunk)]

    def _generate_chunk(self, requests: Sequence[Request]) -> list[Completion]:
        keys = [self.key(request) for request in requests]
        missing = {k: r for k, r in zip(keys, requests, strict=True) if k not in self._kept}
        asked = list(missing.values())
        new = dict(zip(missing, self._inner.generate(asked) if asked else [], strict=True))
        self._kept.update({k: c for k, c in new.items() if c.finish_reason != "error"})
        self.num_asked += len(asked)
        self.num_kept += len(requests) - len(asked)
        if self._on_done is not None:
            self._on_done(len(requests))
        return [_stamped(new.get(k) or self._kept[k], r) for k, r in zip(keys, requests, strict=True)]


def _stamped(completion: Completion, request: Request) -> Completion:
    """The completion in the name of who asks now: a key says nothing of names and problem ids."""
    return replace(completion, problem_id=request.problem_id, model=request.model, sample=request.sample)


def _chunks(requests: Sequence[Request]) -> Iterator[Sequence[Request]]:
    return (requests[start : start + CHUNK] for start in range(0, len(requests), CHUNK))

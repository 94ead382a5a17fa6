"""Backends by model identity: each model opened once, asked through what is kept, and metered."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from functools import partial
from typing import Protocol

from mlpo.agents.backend import Backend, DeferredBackend
from mlpo.agents.cached import CachedBackend
from mlpo.agents.ledger import GenerationLedger, MeteredBackend
from mlpo.types import Completion, Message, Request

TokenCounter = Callable[[Sequence[Message], str], tuple[int, int]]
"""(messages, completion) -> prompt tokens, completion tokens."""


class Models(Protocol):
    """Where models come from: this machine (`LocalModels`) or a script (`ScriptedModels`)."""

    def identity(self, model: str, revision: str | None) -> str:
        """What the model is, found without loading it."""

    def open(self, model: str, revision: str | None) -> Backend:
        """A backend that answers with it.

        Raises:
            ConfigError: there is no such model.
        """

    def token_counter(self, model: str, revision: str | None) -> TokenCounter:
        """How the model counts (messages, completion): prompt tokens and completion tokens."""


class ModelShelf:
    """Hands out one backend per model identity: agents that share weights share a backend and its batches.

    A model is loaded when a request comes that is not kept, and let go when `max_loaded` others want its place.
    """

    def __init__(
        self,
        models: Models,
        kept: MutableMapping[str, Completion],
        key: Callable[[str, Request], str],
        *,
        ledger: GenerationLedger,
        max_loaded: int = 2,
        on_done: Callable[[int], None] | None = None,
    ) -> None:
        """An empty shelf.

        Args:
            key: key(identity, request) is a request's content key.
            max_loaded: models in memory at a time; the one opened first makes room for the next.
            on_done: hears how many requests were answered.
        """
        self._models = models
        self._kept = kept
        self._key = key
        self._ledger = ledger
        self._max_loaded = max_loaded
        self._on_done = on_done
        self._identities: dict[tuple[str, str | None], str] = {}
        self._loaded: dict[str, DeferredBackend] = {}
        self._backends: dict[str, CachedBackend] = {}

    def backend(self, model: str, revision: str | None = None) -> CachedBackend:
        """The backend of this model."""
        if (model, revision) not in self._identities:
            self._identities[model, revision] = self._models.identity(model, revision)
        identity = self._identities[model, revision]
        if identity not in self._backends:
            deferred = DeferredBackend(lambda: self._open(identity, deferred, model, revision))
            self._backends[identity] = CachedBackend(
                deferred, self._kept, partial(self._key, identity), on_done=self._on_done
            )
        return self._backends[identity]

    def _open(self, identity: str, deferred: DeferredBackend, model: str, revision: str | None) -> Backend:
        while len(self._loaded) >= self._max_loaded:
            self._loaded.pop(next(iter(self._loaded))).release()
        self._loaded[identity] = deferred
        return MeteredBackend(self._models.open(model, revision), self._ledger)

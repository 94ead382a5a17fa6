"""Backends by model identity: each model opened once, asked through what is kept, and metered."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from functools import partial
from typing import Protocol

from mlpo.agents.backend import Backend, DeferredBackend
from mlpo.agents.cached import CachedBackend
from mlpo.agents.ledger import GenerationLedger, MeteredBackend
from mlpo.types import Completion, Request


class Models(Protocol):
    """Where models come from: this machine (`LocalModels`) or a script (`ScriptedModels`)."""

    def identity(self, model: str, revision: str | None) -> str:
        """What the model is, found without loading it."""

    def open(self, model: str, revision: str | None) -> Backend:
        """A backend that answers with it.

        Raises:
            ConfigError: there is no such model.
        """


class ModelShelf:
    """Hands out one backend per model identity: agents that share weights share a backend and its batches.

    A model is loaded when the first request that is not kept comes, and never twice.
    """

    def __init__(
        self,
        models: Models,
        kept: MutableMapping[str, Completion],
        key: Callable[[str, Request], str],
        *,
        ledger: GenerationLedger,
        on_done: Callable[[int], None] | None = None,
    ) -> None:
        """`key(identity, request)` is a request's content key; `on_done` hears how many requests were answered."""
        self._models = models
        self._kept = kept
        self._key = key
        self._ledger = ledger
        self._on_done = on_done
        self._deferred: dict[str, DeferredBackend] = {}
        self._backends: dict[str, CachedBackend] = {}

    def backend(self, model: str, revision: str | None = None) -> CachedBackend:
        """The backend of this model."""
        identity = self._models.identity(model, revision)
        if identity not in self._backends:
            self._deferred[identity] = DeferredBackend(partial(self._open, model, revision))
            self._backends[identity] = CachedBackend(
                self._deferred[identity], self._kept, partial(self._key, identity), on_done=self._on_done
            )
        return self._backends[identity]

    def release(self, model: str, revision: str | None = None) -> None:
        """Let go of a model's memory; it is loaded again if it is asked for again."""
        identity = self._models.identity(model, revision)
        if identity in self._deferred:
            self._deferred[identity].release()

    def _open(self, model: str, revision: str | None) -> Backend:
        return MeteredBackend(self._models.open(model, revision), self._ledger)

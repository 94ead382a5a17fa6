"""A pool of models: each is opened once, asked through the cache of completions, and metered."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from functools import partial
from typing import Protocol

from mlpo.config import RayConfig, ServerConfig, digest
from mlpo.inference.backend import Backend, DeadModelError, DeferredBackend
from mlpo.inference.cache import CachedBackend
from mlpo.inference.ray_backend import RayModels
from mlpo.inference.remote_models import RemoteModels
from mlpo.inference.usage import GenerationLedger, MeteredBackend
from mlpo.models.identity import Quantization
from mlpo.types import LEADER, Completion, Message, Request

TokenCounter = Callable[[Sequence[Message], str], tuple[int, int]]
"""(messages, completion) -> prompt tokens, completion tokens."""


class Source(Protocol):
    """Where models come from: this process (`LocalModels`), servers (`RemoteModels`) or a script (`ScriptedModels`)."""

    def identity(self, model: str, revision: str | None) -> str:
        """What the model is, found without loading it."""

    def open(self, model: str, revision: str | None) -> Backend:
        """A backend that answers with it.

        Raises:
            ConfigError: there is no such model.
        """


class Models(Source, Protocol):
    """A source that can also quantise its models, and count tokens without one."""

    def quantized(self, how: Quantization) -> Source:
        """The same models with quantised weights."""

    def token_counter(self, model: str, revision: str | None) -> TokenCounter:
        """How the model counts (messages, completion): prompt tokens and completion tokens."""


class ModelPool:
    """Hands out one backend per model identity: agents that share weights share a backend and its batches.

    A model is loaded when a request comes that is not kept, and let go when `max_loaded` others want its place. A vLLM
    of ours takes the GPU for itself: everything else is let go before it starts, and it before anything else is loaded.
    """

    def __init__(
        self,
        models: Models,
        kept: MutableMapping[str, Completion],
        key: Callable[[str, Request], str],
        *,
        ledger: GenerationLedger,
        max_loaded: int = 2,
        max_dead: int = 0,
        on_done: Callable[[int], None] | None = None,
        ray: RayConfig | None = None,
    ) -> None:
        """An empty model_pool.

        Args:
            models: where models without a `server` come from.
            key: key(identity, request) is a request's content key.
            max_loaded: models in memory at a time; the one opened first makes room for the next.
            max_dead: agents that may stay dead; what is asked of them comes back failed.
            on_done: hears how many requests were answered.
            ray: workers that hold what would be loaded on this machine.
        """
        self._models = models
        self._kept = kept
        self._key = key
        self._ledger = ledger
        self._max_loaded = max_loaded
        self._max_dead = max_dead
        self._on_done = on_done
        self._ray = ray
        self._places: dict[tuple[str, str | None, str], tuple[str, str]] = {}
        self._loaded: dict[tuple[str, str], DeferredBackend] = {}
        self._backends: dict[tuple[str, str], CachedBackend] = {}
        self.dead: dict[str, str] = {}
        """Agents that stayed dead -> why."""

    def backend(
        self,
        model: str,
        revision: str | None = None,
        server: ServerConfig | None = None,
        quantize: Quantization | None = None,
    ) -> CachedBackend:
        """The backend of this model, behind `server` if there is one, else perhaps with quantised weights."""
        own = self._models if quantize is None else self._models.quantized(quantize)
        source: Source = own if server is None else RemoteModels(server)
        ray = self._ray if server is None or server.serve is not None else None
        if ray is not None:
            source = RayModels(source, ray)
        named = (model, revision, (quantize or "") if server is None else digest(server))
        if named not in self._places:
            self._places[named] = (source.identity(model, revision), "" if server is None else named[-1])
        place = self._places[named]
        if place not in self._backends:

            def open_model() -> Backend:
                self._make_room(place, deferred, server)
                return MeteredBackend(source.open(model, revision), self._ledger)

            deferred = DeferredBackend(open_model)
            self._backends[place] = CachedBackend(
                deferred,
                self._kept,
                partial(self._key, place[0]),
                one_by_one=server is not None and ray is None,
                parallel=1 if ray is None else ray.workers,
                on_done=self._on_done,
                on_dead=self._spare,
            )
        return self._backends[place]

    def close(self) -> None:
        """Let go of all models; servers that were started here are stopped."""
        for backend in self._backends.values():
            backend.close()

    def _make_room(self, place: tuple[str, str], deferred: DeferredBackend, server: ServerConfig | None) -> None:
        """Let go of as many models on this machine as the next one needs."""
        if server is not None and server.serve is None:
            return
        alone = server is not None or any(served for _, served in self._loaded)
        while self._loaded and (alone or len(self._loaded) >= self._max_loaded):
            self._loaded.pop(next(iter(self._loaded))).close()
        self._loaded[place] = deferred

    def _spare(self, error: DeadModelError, requests: Sequence[Request]) -> None:
        """Go on without these agents, if so many may be dead; never without a leader."""
        asked = {request.model for request in requests}
        dead = self.dead | dict.fromkeys(asked, str(error))
        if LEADER in asked or len(dead) > self._max_dead:
            raise error
        self.dead = dead

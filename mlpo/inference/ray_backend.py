"""Models on a Ray cluster: workers that each hold one and answer a batch at a time; one that dies is started again."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from math import ceil
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol

from mlpo.config import ConfigError, RayConfig
from mlpo.inference.backend import Backend, OnAnswer, TransientError
from mlpo.types import Completion, Request

if TYPE_CHECKING:
    from ray import ObjectRef

MAX_RESTARTS = 3
"""How often a worker may die and be started again; what it was asked is asked again."""
CHECKED_AT_ONCE = 4096
"""Requests sent to a worker to be checked."""
OBJECT_STORE_BYTES = 100 * 2**20
"""Shared memory of a Ray of our own: requests and completions are short texts."""


class Source(Protocol):
    """Where a worker gets its model from, as on a model_pool."""

    def identity(self, model: str, revision: str | None) -> str:
        """What the model is."""

    def open(self, model: str, revision: str | None) -> Backend:
        """A backend that answers with it."""


@dataclass(frozen=True)
class RayModels:
    """The models of `source`, opened by Ray workers; called the same, so what is kept counts here and there."""

    source: Source
    config: RayConfig

    def identity(self, model: str, revision: str | None) -> str:
        """As without Ray."""
        return self.source.identity(model, revision)

    def open(self, model: str, revision: str | None) -> Backend:
        """Start the workers and wait until all hold the model."""
        return RayBackend(self.source, model, revision, self.config)


class RayBackend:
    """Hands each call of `generate` to a free worker: up to `workers` threads may call at a time."""

    def __init__(self, source: Source, model: str, revision: str | None, config: RayConfig) -> None:
        """Join the cluster, or start one on this machine, and wait until every worker holds the model.

        Raises:
            ConfigError: Ray is not installed, there is no such model, or a worker's machine has other weights.
            ConnectionError: no cluster answers at `address`.
            TransientError: the cluster had no room for the workers in `start_seconds`.
        """
        self._config = config
        self._ends_ray = _join(config)
        import ray

        made = ray.remote(_Worker).options(
            num_cpus=config.cpus_per_worker,
            num_gpus=config.gpus_per_worker,
            max_restarts=MAX_RESTARTS,
            max_task_retries=MAX_RESTARTS,
        )
        asked = (source, model, revision, source.identity(model, revision))
        self._workers: list[Any] = [made.remote(*asked) for _ in range(config.workers)]
        self._free: SimpleQueue[Any] = SimpleQueue()
        for worker in self._workers:
            self._free.put(worker)
        try:
            self._wait_until_ready()
        except BaseException:
            self.close()
            raise

    def check(self, requests: Iterable[Request]) -> None:
        """As the model's own backend, on one worker."""
        remaining = iter(requests)
        while some := list(islice(remaining, CHECKED_AT_ONCE)):
            _get(self._workers[0].check.remote(some), self._config.batch_seconds)

    def generate(self, requests: Sequence[Request], on_answer: OnAnswer | None = None) -> list[Completion]:
        """Answer every request, in order, all at once.

        Raises:
            TransientError: the worker died too often, or did not answer in `batch_seconds`.
        """
        worker = self._free.get()
        try:
            completions: list[Completion] = _get(worker.generate.remote(list(requests)), self._config.batch_seconds)
        finally:
            self._free.put(worker)
        return completions

    def close(self) -> None:
        """End the workers, and Ray if it was started here; a vLLM of theirs ends with them."""
        import ray

        for worker in self._workers:
            ray.kill(worker)
        if self._ends_ray:
            ray.shutdown()

    def _wait_until_ready(self) -> None:
        import ray

        opened = [worker.open.remote() for worker in self._workers]
        ready, waiting = ray.wait(opened, num_returns=len(opened), timeout=self._config.start_seconds)
        for reference in ready:
            _get(reference, self._config.batch_seconds)
        if waiting:
            raise TransientError(
                f"{len(waiting)} of {len(opened)} Ray workers were not ready in {self._config.start_seconds:g} s; the "
                f"cluster has {ray.cluster_resources()}, each worker needs {self._config.cpus_per_worker:g} CPUs and "
                f"{self._config.gpus_per_worker:g} GPUs (runtime.ray)"
            )


class _Worker:
    """Holds the model, in a process of its own wherever Ray has room; a method of it runs at a time."""

    def __init__(self, source: Source, model: str, revision: str | None, identity: str) -> None:
        self._source = source
        self._model = model
        self._revision = revision
        self._identity = identity
        self._backend: Backend | None = None

    def open(self) -> None:
        """Load the model. Not in __init__: what that raises would be told as the death of the worker."""
        self._opened()

    def check(self, requests: list[Request]) -> None:
        """As the model's backend."""
        self._opened().check(requests)

    def generate(self, requests: list[Request]) -> list[Completion]:
        """As the model's backend; a worker that was started again loads the model first."""
        return self._opened().generate(requests)

    def _opened(self) -> Backend:
        if self._backend is None:
            if (found := self._source.identity(self._model, self._revision)) != self._identity:
                raise ConfigError(
                    f"{self._model} is {found} on {os.uname().nodename}, but {self._identity} where the stage runs; "
                    "bring the same files and versions to every machine of the cluster"
                )
            self._backend = self._source.open(self._model, self._revision)
        return self._backend


def _join(config: RayConfig) -> bool:
    """Connect to the cluster; True if it is one of our own, which ends with us."""
    try:
        import ray
    except ImportError:
        raise ConfigError(
            "runtime.ray needs Ray; `pip install 'mlpo[ray]'` on every machine of the cluster, or leave runtime.ray out"
        ) from None
    if ray.is_initialized():
        return False
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    in_main_thread = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM)
    own: dict[str, Any] = {
        "num_cpus": max(os.cpu_count() or 1, ceil(config.workers * config.cpus_per_worker)),
        "object_store_memory": OBJECT_STORE_BYTES,
        "include_dashboard": False,
        "_node_ip_address": "127.0.0.1",
    }
    try:
        ray.init(
            address=config.address or "local",
            logging_level=logging.ERROR,
            log_to_driver=False,
            **({} if config.address else own),
        )
    except ConnectionError:
        raise  # nobody at the address
    except Exception as error:  # Ray raises bare ones, such as when it is not up in its own 30 s
        raise TransientError(f"Ray did not start: {' '.join(str(error).split())}") from error
    finally:
        if in_main_thread:
            signal.signal(signal.SIGTERM, handler)  # Ray sets its own
    return config.address is None


def _get(reference: ObjectRef[Any], seconds: float) -> Any:
    """What a worker answers, or raises what it raised."""
    import ray
    from ray.exceptions import GetTimeoutError, RayActorError, RayTaskError

    try:
        return ray.get(reference, timeout=seconds)
    except RayTaskError as error:
        raise error.cause from None
    except GetTimeoutError:
        raise TransientError(f"a Ray worker did not answer in {seconds:g} s (runtime.ray.batch_seconds)") from None
    except RayActorError as error:
        raise TransientError(f"a Ray worker died {MAX_RESTARTS + 1} times: {' '.join(str(error).split())}") from None

"""Served questions as MLflow traces of the leader's version: sampled, written in the background, dropped in a jam."""

from __future__ import annotations

import logging
import math
import random
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Lock
from typing import TYPE_CHECKING, Self

from accelerate.utils import patch_environment

from mlpo.tracking.connect import Connection, as_global_store
from mlpo.tracking.traces import add_spans
from mlpo.types import Problem, Transcript

if TYPE_CHECKING:
    from mlflow.entities import LiveSpan

LOG = logging.getLogger("mlpo.serving")
MAX_BEHIND = 1000
"""Traces that may wait to be written; more are dropped, so that a slow store costs memory no more than time."""
CLOSE_SECONDS = 60.0
"""For so long what waits is still written when the server ends; the rest is dropped."""
_ENVIRONMENT = {
    "MLFLOW_ENABLE_ASYNC_TRACE_LOGGING": "false",  # its own queues drop spans and traces, and count none
    "MLFLOW_TRACE_BUFFER_MAX_SIZE": "100000",  # as many are open at most; beyond its 1000 it forgets the oldest
}


class ServedTrace:
    """One question's trace. Every question has an id; the trace behind it is there if the question was sampled."""

    def __init__(self, traces: ServedTraces, problem: Problem, root: LiveSpan | None) -> None:
        self._traces, self._problem, self._root = traces, problem, root
        self.id = root.trace_id if root is not None else f"tr-{uuid.uuid4().hex}"

    def answered(self, transcript: Transcript, times_ns: list[int]) -> None:
        """End it with everything that was said; see `add_spans` for the times."""
        root = self._root
        if root is not None:

            def write() -> None:
                add_spans(root, self._problem, transcript, times_ns)
                root.end(outputs={"answer": transcript.answer}, end_time_ns=times_ns[-1])

            self._traces.submit(root, write)

    def failed(self, reason: str) -> None:
        """End it without an answer."""
        root = self._root
        if root is not None:
            self._traces.submit(root, lambda: root.end(outputs={"error": reason}, status="ERROR"))


class ServedTraces:
    """Writes the traces of a server, in a thread of its own: 0.2 s of a core each in SQLite.

    While it is open, MLflow's global store is this connection's and writes a trace before it returns.
    """

    def __init__(self, connection: Connection, share: float) -> None:
        """`share` of the questions are traced."""
        self._connection = connection
        self._share = share
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="mlpo-traces")
        self._behind = 0
        self._until = math.inf
        self._lock = Lock()
        self.num_dropped = 0
        """Traces lost since the store could not keep up. One that the store refuses is MLflow's warning in the log."""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(patch_environment(**_ENVIRONMENT))  # first: with a new store MLflow reads it again
            stack.enter_context(as_global_store(self._connection))
            self._close = stack.pop_all().close
        return self

    def __exit__(self, *error: object) -> None:
        self._until = time.monotonic() + CLOSE_SECONDS
        self._writer.shutdown()
        if self.num_dropped:
            LOG.warning("%d traces were dropped: MLflow's store could not keep up", self.num_dropped)
        self._close()

    def begin(
        self, problem: Problem, model: str, *, version: int, model_id: str | None, num_rounds: int, asked_ns: int
    ) -> ServedTrace:
        """Open the trace of a question, asked at `asked_ns` (since 1970), that `version` of the leader will answer."""
        if random.random() >= self._share:
            return ServedTrace(self, problem, None)
        import mlflow
        from mlflow.tracing.constant import TraceMetadataKey

        root = mlflow.start_span_no_context(
            model,
            span_type="CHAIN",
            inputs={"question": problem.question, "num_rounds": num_rounds},
            tags={"served": "true", "leader.version": str(version)},
            metadata={TraceMetadataKey.MODEL_ID: model_id} if model_id else None,
            experiment_id=self._connection.experiment_id,
            start_time_ns=asked_ns,
        )
        return ServedTrace(self, problem, root)

    def submit(self, root: LiveSpan, write: Callable[[], None]) -> None:
        """Write a trace in the background, if not too much waits already."""
        with self._lock:
            has_room = self._behind < MAX_BEHIND
            self._behind += has_room
        if has_room:
            self._writer.submit(self._write, root, write)
        else:
            self._drop(root)

    def _write(self, root: LiveSpan, write: Callable[[], None]) -> None:
        try:
            if time.monotonic() < self._until:
                write()
            else:
                self._drop(root)
        finally:
            with self._lock:
                self._behind -= 1

    def _drop(self, root: LiveSpan) -> None:
        """Let MLflow forget an open trace: it would keep it in the place of one that waits."""
        from mlflow.tracing.trace_manager import InMemoryTraceManager

        with self._lock:
            self.num_dropped += 1
        if context := root._span.get_span_context():  # a span that MLFLOW_TRACE_SAMPLING_RATIO left out has none
            manager = InMemoryTraceManager.get_instance()  # type: ignore[no-untyped-call]  # MLflow forgot its type
            manager.pop_trace(context.trace_id)

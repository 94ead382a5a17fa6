"""Served questions as MLflow traces of the leader's version: sampled, written in the background, dropped in a jam."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Lock
from typing import TYPE_CHECKING, Self

from mlpo.tracking.connect import Connection, as_global_store
from mlpo.tracking.traces import add_spans
from mlpo.types import Problem, Transcript

if TYPE_CHECKING:
    from mlflow.entities import LiveSpan

MAX_BEHIND = 1000
"""Traces that may wait to be written; more are dropped, so that a slow store costs memory no more than time."""


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

            self._traces.submit(write)

    def failed(self, reason: str) -> None:
        """End it without an answer."""
        root = self._root
        if root is not None:
            self._traces.submit(lambda: root.end(outputs={"error": reason}, status="ERROR"))


class ServedTraces:
    """Writes the traces of a server. While it is open, MLflow's global store is this connection's."""

    def __init__(self, connection: Connection, share: float) -> None:
        """`share` of the questions are traced."""
        self._connection = connection
        self._share = share
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="mlpo-traces")
        self._behind = 0
        self._lock = Lock()
        self.num_dropped = 0
        """Traces lost since the store could not keep up."""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(as_global_store(self._connection))
            self._close = stack.pop_all().close
        return self

    def __exit__(self, *error: object) -> None:
        import mlflow

        self._writer.shutdown()
        if self._share:
            mlflow.flush_trace_async_logging()
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

    def submit(self, write: Callable[[], None]) -> None:
        """Write in the background, if not too much waits already."""
        with self._lock:
            if self._behind >= MAX_BEHIND:
                self.num_dropped += 1
                return
            self._behind += 1
        self._writer.submit(self._write, write)

    def _write(self, write: Callable[[], None]) -> None:
        try:
            write()
        finally:
            with self._lock:
                self._behind -= 1

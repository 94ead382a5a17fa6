"""Traces of a server in a jam, in a real MLflow store: as many wait as may, and whatever is lost is counted."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow.tracing.trace_manager import InMemoryTraceManager

from mlpo.tracking import serving_traces
from mlpo.tracking.connect import Connection, connect
from mlpo.tracking.serving_traces import ServedTrace, ServedTraces
from mlpo.types import Problem
from tests.serving.conftest import enter

PROBLEM = Problem("p1", "asked", "question", "Capital of France?", "", "word")


@pytest.fixture
def connection(empty_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """The way to a store of its own, with all that MLflow may hold of traces cut down to next to nothing."""
    enter(tmp_path, empty_database, monkeypatch)
    monkeypatch.setenv("MLFLOW_TRACE_BUFFER_MAX_SIZE", "1")
    monkeypatch.setenv("MLFLOW_ASYNC_TRACE_LOGGING_MAX_QUEUE_SIZE", "1")
    monkeypatch.setenv("MLFLOW_ASYNC_TRACE_LOGGING_MAX_WORKERS", "1")
    InMemoryTraceManager.reset()  # it reads the size of its buffer once
    yield connect()
    InMemoryTraceManager.reset()


def begun(traces: ServedTraces) -> ServedTrace:
    return traces.begin(PROBLEM, "leader", version=1, model_id=None, num_rounds=1, asked_ns=time.time_ns())


def stored(connection: Connection) -> set[str]:
    """The traces that are whole."""
    found = connection.client.search_traces(locations=[connection.experiment_id])
    return {trace.info.trace_id for trace in found if trace.info.status == "ERROR" and trace.data.spans}


def test_one_after_the_other_is_in_the_store_and_none_waits_inside_mlflow(connection: Connection) -> None:
    found: list[set[str]] = []
    with ServedTraces(connection, 1.0) as traces:
        first, second = begun(traces), begun(traces)
        first.failed("no answer")
        assert second._root is not None
        traces.submit(second._root, lambda: found.append(stored(connection)))
    assert found == [{first.id}]


def test_as_many_wait_as_may_and_every_other_one_is_counted(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving_traces, "MAX_BEHIND", 9)
    let_go = threading.Event()
    with ServedTraces(connection, 1.0) as traces:
        jam = begun(traces)
        assert jam._root is not None
        traces.submit(jam._root, lambda: assert_set(let_go))
        asked = [begun(traces) for _ in range(12)]
        for trace in asked:
            trace.failed("no answer")
        assert traces.num_dropped == 4  # 12 of which 8 find a place beside the one that jams
        let_go.set()
    assert stored(connection) == {trace.id for trace in asked[:8]}


def assert_set(event: threading.Event) -> None:
    assert event.wait(60)


def test_what_is_dropped_takes_no_place_of_what_waits(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving_traces, "MAX_BEHIND", 3)
    monkeypatch.setitem(
        serving_traces._ENVIRONMENT, "MLFLOW_TRACE_BUFFER_MAX_SIZE", "4"
    )  # three that wait and one asked now
    let_go = threading.Event()
    with ServedTraces(connection, 1.0) as traces:
        jam = begun(traces)
        assert jam._root is not None
        traces.submit(jam._root, lambda: assert_set(let_go))
        asked = []
        for _ in range(6):
            asked.append(begun(traces))
            asked[-1].failed("no answer")
        assert traces.num_dropped == 4
        let_go.set()
    assert stored(connection) == {trace.id for trace in asked[:2]}


def test_at_the_end_what_waits_too_long_is_dropped_and_told(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(serving_traces, "CLOSE_SECONDS", 0.0)
    with ServedTraces(connection, 1.0) as traces:
        first, second = begun(traces), begun(traces)
        assert first._root is not None
        traces.submit(first._root, lambda: wait_for_the_end(traces))
        second.failed("no answer")
    assert (traces.num_dropped, stored(connection)) == (1, set())
    assert "1 traces were dropped: MLflow's store could not keep up" in caplog.text


def wait_for_the_end(traces: ServedTraces) -> None:
    while traces._until == math.inf:
        time.sleep(0.01)


def test_afterwards_the_environment_is_as_before(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ENABLE_ASYNC_TRACE_LOGGING", "true")
    monkeypatch.delenv("MLFLOW_TRACE_BUFFER_MAX_SIZE")
    before = dict(os.environ)
    with ServedTraces(connection, 1.0):
        assert os.environ["MLFLOW_ENABLE_ASYNC_TRACE_LOGGING"] == "false"
    assert dict(os.environ) == before

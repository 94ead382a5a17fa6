"""A transcript as a trace: a span for every completion, inside its round."""

from __future__ import annotations

from dataclasses import replace

import mlflow
import pytest
from mlflow.entities import Trace

from mlpo.tracking.connect import Connection, as_global_store
from mlpo.tracking.stage_run import stage_run
from mlpo.tracking.traces import add_spans, link_to_model, log_transcripts
from mlpo.types import LEADER, Completion, Passage, Problem, Round, Transcript

PROBLEM = Problem("p1", "basics", "capital", "Capital of France?", "Paris", "word")


def said(model: str, text: str) -> Completion:
    return Completion("p1", model, text, "stop", prompt_tokens=10, completion_tokens=2)


def logged(connection: Connection, transcript: Transcript) -> Trace:
    with stage_run("evaluate", {"seed": 0}) as run:
        assert log_transcripts(run, [(PROBLEM, transcript, True)]) == 1
    with as_global_store(connection):
        found = mlflow.search_traces(locations=[connection.experiment_id], run_id=run.run_id, return_type="list")
    [trace] = found
    assert isinstance(trace, Trace)
    return trace


def test_every_completion_is_a_span_of_its_round(connection: Connection) -> None:
    rounds = (
        Round((said("geo", "Paris"), said("number", "7")), said(LEADER, "<answer>Lyon</answer>"), "Lyon"),
        Round((said("geo", "Paris"), said("number", "Paris")), said(LEADER, "<answer>Paris</answer>"), "Paris"),
    )
    trace = logged(connection, Transcript("p1", "leader", rounds, "Paris"))
    by_id = {span.span_id: span for span in trace.data.spans}
    tree = [(by_id[s.parent_id].name, s.name, s.outputs) for s in trace.data.spans if s.parent_id]
    assert ("leader", "round 0", {"answer": "Lyon"}) in tree
    assert ("round 0", "number", {"text": "7"}) in tree
    assert ("round 1", "leader", {"text": "<answer>Paris</answer>"}) in tree
    assert len(tree) == 2 * 4
    [root] = [span for span in trace.data.spans if not span.parent_id]
    assert root.inputs == {"question": "Capital of France?"}
    assert root.outputs == {"answer": "Paris", "target": "Paris", "correct": True}
    assert trace.info.tags["family"] == "capital"


def test_what_an_agent_looked_up_is_among_its_spans_inputs(connection: Connection) -> None:
    looked_up = replace(said("geo", "Paris"), passages=(Passage("Paris is in France.", "towns.md, passage 3"),))
    trace = logged(connection, Transcript("p1", "leader", (Round((looked_up,), said(LEADER, "x"), "x"),), "x"))
    inputs = {span.name: span.inputs for span in trace.data.spans}
    notes = [{"text": "Paris is in France.", "source": "towns.md, passage 3"}]
    assert inputs["geo"] == {"question": "Capital of France?", "looked_up": notes}
    assert inputs["leader"] == {"question": "Capital of France?"}


def test_a_failed_completion_is_an_error_span_and_samples_stand_beside_the_rounds(connection: Connection) -> None:
    failed = Completion("p1", "geo", "", "error", 0, 0, sample=3, error="server gone")
    trace = logged(connection, Transcript("p1", "self_consistency", (), None, extra=(failed,)))
    [span] = [s for s in trace.data.spans if s.name == "sample 3"]
    assert span.status.status_code == "ERROR"
    assert span.outputs == {"text": "server gone"}


def test_traces_of_a_run_can_be_given_to_a_model_that_came_later(connection: Connection) -> None:
    trace = logged(connection, Transcript("p1", "leader", (Round((), said(LEADER, "x"), "x"),), "x"))
    model = connection.client.create_logged_model(connection.experiment_id, name="leader")
    run_id = trace.info.trace_metadata["mlflow.sourceRun"]
    assert link_to_model(connection, run_id, model.model_id) == 1
    with as_global_store(connection):
        [found] = mlflow.search_traces(
            locations=[connection.experiment_id], model_id=model.model_id, return_type="list"
        )
    assert isinstance(found, Trace)
    assert (found.info.trace_id, len(found.data.spans)) == (trace.info.trace_id, 3)
    assert found.info.tags["family"] == "capital"
    assert found.info.trace_metadata["mlflow.sourceRun"] == run_id


@pytest.mark.slow
def test_more_traces_than_a_page_holds_are_all_given_to_the_model(connection: Connection) -> None:
    with stage_run("evaluate", {"seed": 0}) as run:
        # MLflow's page holds 100
        log_transcripts(run, [(PROBLEM, Transcript("p1", "leader", (), None), False)] * 101)
    model = connection.client.create_logged_model(connection.experiment_id, name="leader")
    assert link_to_model(connection, run.run_id, model.model_id) == 101


def test_spans_last_as_long_as_they_are_said_to(connection: Connection) -> None:
    with as_global_store(connection):
        root = mlflow.start_span_no_context("leader", experiment_id=connection.experiment_id)
        began = root.start_time_ns
        exchange = Round((said("geo", "Paris"),), said(LEADER, "Paris"), "Paris")
        alone = Round((), said(LEADER, "Paris"), "Paris")
        times = [began, began + 5, began + 9, began + 20]  # proposals, draft, and a draft without a team
        add_spans(root, PROBLEM, Transcript("p1", "leader", (exchange, alone), "Paris"), times)
        root.end(end_time_ns=began + 20)
        mlflow.flush_trace_async_logging()
        trace = mlflow.get_trace(root.trace_id)
    assert trace is not None
    lasted = [(s.name, s.start_time_ns - began, (s.end_time_ns or 0) - began) for s in trace.data.spans[1:]]
    assert sorted(lasted) == [
        ("geo", 0, 5),
        ("leader", 5, 9),
        ("leader", 9, 20),
        ("round 0", 0, 9),
        ("round 1", 9, 20),
    ]

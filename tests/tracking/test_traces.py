"""A transcript as a trace: a span for every completion, inside its round."""

from __future__ import annotations

import mlflow
from mlflow.entities import Trace

from mlpo.tracking.connect import Connection, as_global_store
from mlpo.tracking.runs import stage_run
from mlpo.tracking.traces import log_transcripts
from mlpo.types import LEADER, Completion, Problem, Round, Transcript

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


def test_a_failed_completion_is_an_error_span_and_samples_stand_beside_the_rounds(connection: Connection) -> None:
    failed = Completion("p1", "geo", "", "error", 0, 0, sample=3, error="server gone")
    trace = logged(connection, Transcript("p1", "self_consistency", (), None, extra=(failed,)))
    [span] = [s for s in trace.data.spans if s.name == "sample 3"]
    assert span.status.status_code == "ERROR"
    assert span.outputs == {"text": "server gone"}

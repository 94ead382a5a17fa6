"""Transcripts as MLflow traces: question, proposals and drafts, round by round, as spans."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from mlpo.tracking.connect import Connection, as_global_store
from mlpo.tracking.stage_run import StageRun
from mlpo.types import Completion, Problem, Round, Transcript

if TYPE_CHECKING:
    from mlflow.entities import LiveSpan, Trace


def log_transcripts(run: StageRun, transcripts: Iterable[tuple[Problem, Transcript, bool]]) -> int:
    """Log transcripts, each with its problem and whether its answer is right, as traces of `run`; their number.

    A trace costs 70 ms: show some problems, not all.
    """
    import mlflow

    num_traces = 0
    with as_global_store(run.connection):
        for problem, transcript, correct in transcripts:
            _trace(run, problem, transcript, correct=correct)
            num_traces += 1
        mlflow.flush_trace_async_logging()
    return num_traces


def _trace(run: StageRun, problem: Problem, transcript: Transcript, *, correct: bool) -> None:
    import mlflow
    from mlflow.tracing.constant import TraceMetadataKey

    root = mlflow.start_span_no_context(
        transcript.strategy,
        span_type="CHAIN",
        inputs={"question": problem.question},
        tags={
            "problem": problem.id,
            "family": problem.family,
            "strategy": transcript.strategy,
            "correct": str(correct).lower(),
        },
        metadata={TraceMetadataKey.SOURCE_RUN: run.run_id},
        experiment_id=run.connection.experiment_id,
    )
    add_spans(root, problem, transcript)
    root.end(outputs={"answer": transcript.answer, "target": problem.target, "correct": correct})


def link_to_model(connection: Connection, run_id: str, model_id: str) -> int:
    """Let the traces of a run belong to a LoggedModel that came after them; their number.

    MLflow links a trace by its metadata, which only the store's `start_trace` writes; it merges where a trace exists.
    """
    from mlflow.tracing.client import TracingClient
    from mlflow.tracing.constant import TraceMetadataKey

    tracing = TracingClient(tracking_uri=connection.uri)
    found: list[Trace] = []
    token: str | None = None
    while token is None or token:
        page = tracing.search_traces(
            locations=[connection.experiment_id], run_id=run_id, include_spans=False, page_token=token
        )
        found += page
        token = page.token or ""
    for trace in found:
        trace.info.trace_metadata[TraceMetadataKey.MODEL_ID] = model_id
        tracing.start_trace(trace.info)
    return len(found)


def add_spans(root: LiveSpan, problem: Problem, transcript: Transcript, times_ns: Sequence[int] = ()) -> None:
    """A span for every round, agent and sample.

    Args:
        times_ns: when the first round began, and then when each of the transcript's answers came, the team's and the
            leader's in turn (a round without a team has the leader's alone); without them spans have no length.
    """
    times = iter(times_ns)
    began = next(times, None)
    for number, exchange in enumerate(transcript.rounds):
        proposed = next(times, None) if exchange.proposals else began
        drafted = next(times, None) if exchange.draft else proposed
        _round(root, number, problem, exchange, (began, proposed, drafted))
        began = drafted
    for completion in transcript.extra:
        _completion(root, f"sample {completion.sample}", problem, completion)


Times = tuple[int | None, int | None, int | None]
"""When a round began, its proposals had come, and its draft: nanoseconds since 1970, or not known."""


def _round(root: LiveSpan, number: int, problem: Problem, exchange: Round, times: Times) -> None:
    import mlflow

    began, proposed, drafted = times
    span = mlflow.start_span_no_context(
        f"round {number}", span_type="CHAIN", parent_span=root, inputs={"round": number}, start_time_ns=began
    )
    for proposal in exchange.proposals:
        _completion(span, proposal.model, problem, proposal, began, proposed)
    if exchange.draft:
        _completion(span, exchange.draft.model, problem, exchange.draft, proposed, drafted)
    span.end(outputs={"answer": exchange.answer}, end_time_ns=drafted)


def _completion(
    parent: LiveSpan,
    name: str,
    problem: Problem,
    completion: Completion,
    began: int | None = None,
    ended: int | None = None,
) -> None:
    import mlflow
    from mlflow.tracing.constant import SpanAttributeKey

    asked: dict[str, Any] = {"question": problem.question}
    if completion.passages:
        asked["looked_up"] = [{"text": passage.text, "source": passage.source} for passage in completion.passages]
    span = mlflow.start_span_no_context(name, span_type="LLM", parent_span=parent, inputs=asked, start_time_ns=began)
    span.set_attribute("finish_reason", completion.finish_reason)
    span.set_attribute(
        SpanAttributeKey.CHAT_USAGE,
        {
            "input_tokens": completion.prompt_tokens,
            "output_tokens": completion.completion_tokens,
            "total_tokens": completion.tokens,
        },
    )
    failed = completion.finish_reason == "error"
    span.end(
        outputs={"text": completion.text or completion.error}, status="ERROR" if failed else "OK", end_time_ns=ended
    )

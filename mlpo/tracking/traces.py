"""Transcripts as MLflow traces: question, proposals and drafts, round by round, as spans."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mlpo.tracking.connect import as_global_store
from mlpo.tracking.runs import StageRun
from mlpo.types import Completion, Problem, Round, Transcript

if TYPE_CHECKING:
    from mlflow.entities import LiveSpan


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
    for number, exchange in enumerate(transcript.rounds):
        _round(root, number, problem, exchange)
    for completion in transcript.extra:
        _completion(root, f"sample {completion.sample}", problem, completion)
    root.end(outputs={"answer": transcript.answer, "target": problem.target, "correct": correct})


def _round(root: LiveSpan, number: int, problem: Problem, exchange: Round) -> None:
    import mlflow

    span = mlflow.start_span_no_context(f"round {number}", span_type="CHAIN", parent_span=root)
    for proposal in exchange.proposals:
        _completion(span, proposal.model, problem, proposal)
    if exchange.draft:
        _completion(span, exchange.draft.model, problem, exchange.draft)
    span.end(outputs={"answer": exchange.answer})


def _completion(parent: LiveSpan, name: str, problem: Problem, completion: Completion) -> None:
    import mlflow
    from mlflow.tracing.constant import SpanAttributeKey

    span = mlflow.start_span_no_context(
        name, span_type="LLM", parent_span=parent, inputs={"question": problem.question}
    )
    span.set_attribute("finish_reason", completion.finish_reason)
    span.set_attribute(
        SpanAttributeKey.CHAT_USAGE,
        {
            "input_tokens": completion.prompt_tokens,
            "output_tokens": completion.completion_tokens,
            "total_tokens": completion.prompt_tokens + completion.completion_tokens,
        },
    )
    failed = completion.finish_reason == "error"
    span.end(outputs={"text": completion.text or completion.error}, status="ERROR" if failed else "OK")

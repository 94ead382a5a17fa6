"""What a result cost in seconds, by stage and by strategy: data/report/timings.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlpo.config import Params
from mlpo.files import write_json_atomic
from mlpo.inference.usage import Usage
from mlpo.layout import TIMINGS
from mlpo.method.metrics.evaluation import Graded
from mlpo.stages.timings import all_timings
from mlpo.tracking.provenance import current_commit


def usage() -> dict[str, Usage]:
    """What each model did in the stages that make transcripts, as of when it was last asked there."""
    total: dict[str, Usage] = {}
    for stage, timing in all_timings().items():
        if stage.startswith(("propose@", "evaluate")):
            for model, row in timing.get("models", {}).items():
                used = total.setdefault(model, Usage())
                used.prompt_tokens += row["prompt_tokens"]
                used.completion_tokens += row["completion_tokens"]
                used.model_seconds += row["model_seconds"]
    return total


def strategy_seconds(graded: Mapping[str, Sequence[Graded]], used: Mapping[str, Usage]) -> dict[str, float]:
    """Model seconds per problem of each strategy: its tokens at its models' mean seconds per token.

    Strategies share batches and kept completions, so their seconds cannot be read from a clock one by one.
    """
    rates = {model: usage.seconds_per_token for model, usage in used.items()}
    return {
        name: sum(c.tokens * rates.get(c.model, 0.0) for row in rows for c in row.transcript.completions) / len(rows)
        for name, rows in graded.items()
    }


def write_timings(params: Params, run_id: str, seconds: Mapping[str, float]) -> None:
    """Write data/report/timings.json: what differs from run to run and so is no output of DVC.

    Args:
        run_id: the pipeline's run in MLflow.
        seconds: model seconds per problem, by strategy.
    """
    stages = all_timings()
    timings = {
        "seed": params.seed,
        "git_commit": current_commit().sha,
        "mlflow_run_id": run_id,
        "wall_seconds": sum(timing["wall_seconds"] for timing in stages.values()),
        "model_seconds": sum(timing["model_seconds"] for timing in stages.values()),
        "stages": {
            name: {key: timing[key] for key in ("wall_seconds", "model_seconds")} for name, timing in stages.items()
        },
        "strategies": {name: {"model_seconds_per_problem": round(value, 6)} for name, value in seconds.items()},
    }
    write_json_atomic(TIMINGS, timings)

"""Stage `evaluate`: every strategy on the test problems (proposals, leaders -> data/evaluation, data/report)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlpo import report
from mlpo.config import Params
from mlpo.evaluation.play import Arena, play, read_arena
from mlpo.evaluation.policy import kept_policy
from mlpo.evaluation.write_report import with_texts, write_page, write_plots
from mlpo.files import write_json_atomic
from mlpo.inference.model_pool import Models
from mlpo.layout import (
    METRICS,
    MLPO_LEADER,
    PLOTS,
    PROBLEMS,
    PROPOSALS,
    REPORT,
    ROUTING,
    SFT_LEADER,
    TRANSCRIPTS,
)
from mlpo.method.consult_metrics import consult_metrics
from mlpo.method.headroom import accuracy_by_holders, headroom_metrics
from mlpo.method.metrics.evaluation import Graded, evaluation_metrics
from mlpo.stages.costs import strategy_seconds, usage, write_timings
from mlpo.stages.headroom import before_training
from mlpo.stages.progress import progress
from mlpo.stages.timings import stage_clock
from mlpo.team.holders import num_holders
from mlpo.team.models import team_models
from mlpo.tracking.stage_run import StageRun, stage_run
from mlpo.tracking.traces import log_transcripts
from mlpo.types import LEADER

INPUTS = (PROBLEMS, PROPOSALS, SFT_LEADER, MLPO_LEADER, ROUTING)
TRACKED = ("accuracy", "invalid_rate", "generations", "prompt_tokens", "completion_tokens")
"""What MLflow gets of every strategy; the rest is in metrics.json, which it gets too."""


def run(params: Params, *, models: Models | None = None) -> None:
    """Answer every test problem by every strategy, grade, compare and report.

    Raises:
        ConfigError: problems, proposals or a leader are missing, or a prompt does not fit; no result is written.
    """
    arena = read_arena(params)
    with (
        stage_clock("evaluate") as clock,
        stage_run("evaluate", params, inputs=INPUTS, outputs=[TRANSCRIPTS, METRICS]) as tracked,
    ):
        with progress("evaluate", arena.num_completions, unit="completions") as advance:
            source = models or team_models(params)
            graded, dead, measured = play(params, arena, source, ledger=clock.ledger, on_done=advance)
        metrics = metrics_of(params, arena, graded, measured) | {"dead_agents": dead_agents(dead, graded)}
        write_json_atomic(METRICS, metrics)
        write_plots(metrics)
        _track(tracked, metrics, _cases(graded[LEADER], params.evaluate.num_traces))
    seconds = strategy_seconds(graded, usage())
    write_timings(params, tracked.parent_id, seconds)
    write_page(metrics, graded)  # after the clock has stopped, since it shows seconds
    tracked.log_artifact(REPORT, "report")
    report.print_table(metrics, seconds=seconds, confidence=metrics["confidence"])
    for agent, row in metrics["dead_agents"].items():
        print(f"{agent} was dead and is missing in {row['missing']} of {row['of']} answers: {row['reason']}")


def metrics_of(
    params: Params, arena: Arena, graded: Mapping[str, Sequence[Graded]], measured: Sequence[Graded] = ()
) -> dict[str, Any]:
    """The content of metrics.json.

    Args:
        graded: every strategy's transcripts.
        measured: all answers of a leader that asks one agent after another, where one does.
    """
    counted: dict[str, Any] = {
        "num_samples": params.evaluate.bootstrap_samples,
        "confidence": params.evaluate.confidence,
        "seed": params.seed,
    }
    metrics = evaluation_metrics(graded, best_single=arena.best_single, generations=arena.generations, **counted)
    return metrics | {
        "before_training": before_training(),
        "headroom": headroom_metrics(graded, **counted),
        "by_holders": accuracy_by_holders(graded, num_holders(params, arena.problems)),
        "consult": _consult(graded, measured),
    }


def _consult(graded: Mapping[str, Sequence[Graded]], measured: Sequence[Graded]) -> dict[str, Any]:
    """What asking only when unsure would give at every threshold, whether it is played or not."""
    policy = kept_policy()
    return consult_metrics(graded["leader_solo"], graded[LEADER], policy, one_by_one=measured) if policy else {}


def dead_agents(dead: Mapping[str, str], graded: Mapping[str, Sequence[Graded]]) -> dict[str, dict[str, Any]]:
    """Agents without whom evaluation went on: why, and how many of the answers that strategies wanted are missing."""
    rows: dict[str, dict[str, Any]] = {}
    for agent, reason in sorted(dead.items()):
        theirs = [c for row in graded.values() for g in row for c in g.transcript.completions if c.model == agent]
        missing = sum(c.finish_reason == "error" for c in theirs)
        rows[agent] = {"missing": missing, "of": len(theirs), "reason": reason}
    return rows


def _cases(graded: Sequence[Graded], num: int) -> list[Graded]:
    """Problems worth reading, with their texts again."""
    return with_texts(graded, [g.problem.id for g in report.choose_cases(graded, num)])


def _track(tracked: StageRun, metrics: Mapping[str, Any], cases: Sequence[Graded]) -> None:
    """Record the results, the plots and some of the leader's transcripts."""
    numbers = {f"{name}.{key}": row[key] for name, row in metrics["strategies"].items() for key in TRACKED}
    numbers |= {f"{name}.difference": row["difference"] for name, row in metrics["paired"].items()}
    for leader, row in metrics["headroom"].items():
        numbers |= {f"{leader}.winnable": row["winnable"]["share"], f"{leader}.losable": row["losable"]["share"]}
        numbers |= {f"{leader}.captured": row["captured"]["share"]} if row["captured"] else {}
    numbers["dead_agents"] = len(metrics["dead_agents"])
    tracked.log_result(numbers)
    tracked.log_artifact(METRICS, "report")
    tracked.log_artifact(PLOTS, "report/plots")
    log_transcripts(tracked, ((case.problem, case.transcript, case.correct) for case in cases))

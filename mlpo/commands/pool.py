"""`mlpo pool`: the evaluations of several checkouts, one a seed, as one table (transcripts of each -> screen)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlpo import report
from mlpo.commands.pool_consult import Asked, asked_as_played, asked_when_unsure, told
from mlpo.config import ConfigError, Params, load_params
from mlpo.evaluation.graded import read_graded, scores_of
from mlpo.evaluation.strategies import CONSULT
from mlpo.files import replace_file
from mlpo.layout import METRICS, PARAMS
from mlpo.method.metrics.evaluation import Graded
from mlpo.method.metrics.pooling import Scores, pooled_accuracy, pooled_difference, sign_flip_p
from mlpo.method.metrics.significance import holm_p
from mlpo.method.strategies.baselines import ORACLE
from mlpo.report.pooled import PooledRow
from mlpo.tracking.mlflow_limits import flatten
from mlpo.types import LEADER

FREE: dict[str, Any] = {
    **dict.fromkeys(("seed", "runtime", "register_", "serve"), True),
    "evaluate": {"leaders", "rivals", "num_traces", "bootstrap_samples", "confidence"},
}
"""Parameters in which pooled runs may differ: none changes what a strategy is that all of them played."""


def run(params: Params, places: Sequence[Path], *, markdown: bool = False, picture: Path | None = None) -> None:
    """Print every strategy's accuracy over all runs, and the leader's differences from it.

    Args:
        places: checkouts or worktrees, or the metrics.json in them. What is no other seed of the first one's experiment
            is left out, and named.
        picture: where to draw the accuracies, as PNG.
    Raises:
        ConfigError: a place holds no evaluation, or its transcripts are of other problems.
    """
    checkouts = [checkout_of(place) for place in places if place.suffix != ".lock"]  # `.mlpo/worktrees/*` has some
    if not checkouts:
        raise ConfigError("mlpo pool: no checkout among the places; name one that was evaluated")
    pooled, others = seeds_of_one(checkouts)
    graded = [read_graded(checkout) for checkout in pooled]
    runs, (asked, how) = [scores_of(run) for run in graded], _asked(pooled, graded)
    for run, outcomes in zip(runs, (each.outcomes for each in asked), strict=False):
        run[CONSULT] = {problem_id: outcome.correct for problem_id, outcome in outcomes.items()}
    everywhere = [name for name in runs[0] if all(name in run for run in runs)]
    if LEADER not in everywhere:
        raise ConfigError(f"strategy {LEADER} is not in every evaluation; run `mlpo evaluate` where it is missing")
    rows = rows_of(params, {name: [run[name] for run in runs] for name in everywhere})
    confidence = params.evaluate.confidence
    if markdown:
        print(report.pooled_markdown(rows, confidence=confidence), end="")
    else:
        report.print_pooled(rows, num_runs=len(runs), confidence=confidence)
    if picture:
        replace_file(picture, report.pooled_png(rows, num_runs=len(runs), confidence=confidence))
    if left_out := sorted({name for run in runs for name in run} - set(everywhere)):
        print(f"not in every evaluation and left out: {', '.join(left_out)}")
    if asked:
        print(f"{CONSULT} is {how} by each run's policy: {told(asked)}")
    for each in others:
        print(f"left out: {each}")


def seeds_of_one(checkouts: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Those that are seeds of the first one's experiment, each seed once, and why the others are none.

    Raises:
        ConfigError: a checkout has no legal params.yaml.
    """
    seeds: dict[int, Path] = {}
    first: dict[str, str] = {}
    others: list[str] = []
    for checkout in checkouts:
        params = load_params(checkout / PARAMS)
        experiment = flatten(params.model_dump(mode="json", by_alias=True, exclude=FREE))
        first = first or experiment
        differing = [key for key in first | experiment if first.get(key) != experiment.get(key)]
        if differing:
            others.append(f"{checkout}: other parameters than {checkouts[0]}: {', '.join(differing)}")
        elif params.seed in seeds:
            others.append(f"{checkout}: seed {params.seed}, as {seeds[params.seed]}")
        else:
            seeds[params.seed] = checkout
    return list(seeds.values()), others


def checkout_of(place: Path) -> Path:
    """The checkout that a place is, or whose metrics.json it is."""
    return place.parents[len(METRICS.parts) - 1] if place.name == METRICS.name else place


def _asked(checkouts: Sequence[Path], graded: Sequence[Mapping[str, Sequence[Graded]]]) -> tuple[list[Asked], str]:
    """Asking only when unsure, where every run has played it or, having played it nowhere, can replay it."""
    if all(CONSULT in run for run in graded):
        return [asked_as_played(run) for run in graded], "played"
    if any(CONSULT in run for run in graded):
        return [], ""
    asked = [asked_when_unsure(*pair) for pair in zip(checkouts, graded, strict=True)]
    replayed = [each for each in asked if each is not None]
    return (replayed if len(replayed) == len(asked) else []), "replayed"


def rows_of(params: Params, scores: Mapping[str, Sequence[Scores]]) -> list[PooledRow]:
    """One row a strategy; the leader's leads over all but the oracle are one family."""
    num, level, leaders = params.evaluate.bootstrap_samples, params.evaluate.confidence, scores[LEADER]
    rivals = [name for name in scores if name not in (LEADER, ORACLE)]
    corrected = holm_p({name: sign_flip_p(leaders, scores[name], num_samples=num, seed=params.seed) for name in rivals})
    rows = []
    for name, own in scores.items():
        accuracy = pooled_accuracy(own, num_samples=num, confidence=level, seed=params.seed)
        lead = pooled_difference(leaders, own, num_samples=num, confidence=level, seed=params.seed)
        by_run = tuple(sum(run.values()) / len(run) for run in own)
        rows.append(PooledRow(name, accuracy, by_run, None if name == LEADER else lead, corrected.get(name)))
    return rows

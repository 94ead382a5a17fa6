"""What a study found: every variant over its seeds, pooled by problem, and the differences it asks for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mlpo.evaluation.graded import read_scores
from mlpo.evaluation.strategies import CONSULT
from mlpo.layout import METRICS
from mlpo.method.metrics.evaluation import Difference
from mlpo.method.metrics.pooling import Scores, pooled_accuracy, pooled_difference, sign_flip_p
from mlpo.method.metrics.significance import holm_p, verdict
from mlpo.studies.folders import StudyFolders
from mlpo.studies.plan import RunId, StudyPlan
from mlpo.studies.spec import Study
from mlpo.studies.tables import ComparisonRow, VariantRow
from mlpo.types import LEADER

SHOWN = (LEADER, "leader_solo", "majority_vote", CONSULT)
"""Strategies whose accuracy every variant's row holds."""
COSTS = ("generations", "prompt_tokens", "completion_tokens", "invalid_rate")
"""What else it holds of the leader with its team, means over seeds."""

Runs = Mapping[str, Mapping[int, Mapping[str, Scores]]]
"""Variant -> seed -> strategy -> scores by problem, of what is finished."""


def read_runs(study: Study, folders: StudyFolders, finished: Sequence[RunId]) -> Runs:
    """The scores of all finished runs."""
    return {
        variant: {run.seed: read_scores(folders.folder(run)) for run in finished if run.variant == variant}
        for variant in study.variants
    }


def read_metrics(study: Study, folders: StudyFolders, finished: Sequence[RunId]) -> dict[str, list[dict[str, Any]]]:
    """Variant -> metrics.json of each finished run."""
    return {
        variant: [
            json.loads((folders.folder(run) / METRICS).read_text(encoding="utf-8"))
            for run in finished
            if run.variant == variant
        ]
        for variant in study.variants
    }


def variant_rows(
    study: Study,
    plan: StudyPlan,
    runs: Runs,
    metrics: Mapping[str, Sequence[Mapping[str, Any]]],
    failed: Mapping[RunId, str],
) -> list[VariantRow]:
    """One row a variant, in the study's order; a variant with a failed run says why."""
    first = plan.runs[0].params.evaluate
    rows = []
    for name, variant in study.variants.items():
        reasons = [reason for run, reason in failed.items() if run.variant == name]
        scores = list(runs[name].values())
        accuracies = {
            strategy: pooled_accuracy(
                [run[strategy] for run in scores],
                num_samples=first.bootstrap_samples,
                confidence=first.confidence,
                seed=study.seeds[0],
            )
            for strategy in SHOWN
            if scores and all(strategy in run for run in scores)
        }
        told = [each["strategies"][LEADER] for each in metrics[name]]
        rows.append(
            VariantRow(
                name,
                variant.about or name,
                tuple(runs[name]),
                accuracies,
                _costs(told),
                _asking(metrics[name]),
                _by_round(told),
                "; ".join(reasons),
            )
        )
    return rows


def _costs(told: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    return {cost: sum(row[cost] for row in told) / len(told) for cost in COSTS} if told else {}


def _asking(metrics: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """What asking only when unsure cost, where every run has played it; the share that asked is among it."""
    if not metrics or any(CONSULT not in each["strategies"] for each in metrics):
        return {}
    shares = [each["consult"]["chosen"]["share_asked"] for each in metrics]
    return _costs([each["strategies"][CONSULT] for each in metrics]) | {"share_asked": sum(shares) / len(shares)}


def comparison_rows(study: Study, plan: StudyPlan, runs: Runs) -> list[ComparisonRow]:
    """One row a comparison whose two sides are finished with the same seeds, corrected for all of them."""
    first = plan.runs[0].params.evaluate
    found: list[tuple[tuple[str, str], tuple[str, str], tuple[int, ...], Difference]] = []
    p_values: dict[str, float] = {}
    for comparison in study.all_comparisons:
        (left, strategy), (right, other) = comparison.first, comparison.second
        seeds = tuple(seed for seed in runs[left] if seed in runs[right])
        seeds = tuple(s for s in seeds if strategy in runs[left][s] and other in runs[right][s])
        if not seeds:
            continue
        pair = [runs[left][s][strategy] for s in seeds], [runs[right][s][other] for s in seeds]
        difference = pooled_difference(
            *pair, num_samples=first.bootstrap_samples, confidence=first.confidence, seed=study.seeds[0]
        )
        p_values[str(len(found))] = sign_flip_p(*pair, num_samples=first.bootstrap_samples, seed=study.seeds[0])
        found.append((comparison.first, comparison.second, seeds, difference))
    corrected = holm_p(p_values)
    return [
        ComparisonRow(*row, p_values[i], p, verdict(row[-1].difference, p, confidence=first.confidence))
        for row, (i, p) in zip(found, corrected.items(), strict=True)
    ]


def _by_round(told: Sequence[Mapping[str, Any]]) -> tuple[float, ...]:
    """The leader's accuracy after each round, the mean over seeds."""
    rounds = min((len(row["by_round"]) for row in told), default=0)
    return tuple(sum(row["by_round"][str(t)] for row in told) / len(told) for t in range(rounds))

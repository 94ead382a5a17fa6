"""A study's numbers by hand: seeds that both sides have, strategies that all runs have, means over seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlpo.studies.plan import plan_study
from mlpo.studies.results import comparison_rows, variant_rows
from mlpo.studies.spec import Study

ROOT = Path(__file__).parents[2]
STUDY = Study.model_validate({
    "title": "t", "question": "q", "seeds": [0, 1], "base": {"evaluate": {"bootstrap_samples": 200}},
    "variants": {"base": {}, "steps": {"set": {"train_mlpo": {"steps": 1}}}},
})  # fmt: skip


def scores(right: int) -> dict[str, bool]:
    return {f"p{n}": n < right for n in range(8)}


RUNS = {
    "base": {0: {"leader": scores(2), "leader_solo": scores(4)}, 1: {"leader": scores(8)}},
    "steps": {0: {"leader": scores(8)}},
}


def told(by_round: dict[str, float]) -> dict[str, Any]:
    costs = {"generations": 2, "prompt_tokens": 10, "completion_tokens": 1, "invalid_rate": 0}
    return {"strategies": {"leader": costs | {"by_round": by_round}}}


def test_variants_are_compared_on_the_seeds_that_both_have() -> None:
    [row] = comparison_rows(STUDY, plan_study(ROOT, STUDY), RUNS)
    # of seed 0 alone: 8 against 2 of 8; six problems differ in one direction, p = 2 / 2^6, and it is the only pair
    assert (row.first, row.second, row.seeds) == (("steps", "leader"), ("base", "leader"), (0,))
    assert (row.difference.difference, row.p, row.holm_p, row.verdict) == (0.75, 0.03125, 0.03125, "better")


def test_a_row_holds_what_all_its_runs_have_and_means_over_seeds() -> None:
    metrics = {"base": [told({"0": 0.25, "1": 0.5}), told({"0": 0.75, "1": 1.0, "2": 1.0})], "steps": []}
    base, steps = variant_rows(STUDY, plan_study(ROOT, STUDY), RUNS, metrics, {})
    assert {name: accuracy.difference for name, accuracy in base.accuracies.items()} == {
        "leader": pytest.approx((2 + 8) / 16)
    }
    assert (base.seeds, base.by_round, base.costs["prompt_tokens"]) == ((0, 1), (0.5, 0.75), 10)
    assert (steps.seeds, steps.by_round, steps.costs) == ((0,), (), {})


def test_asking_when_unsure_has_its_own_costs_and_the_share_that_asked_where_every_run_played_it() -> None:
    def asked(generations: float, share: float) -> dict[str, Any]:
        metrics = told({"0": 0.5})
        metrics["strategies"]["leader_consult"] = metrics["strategies"]["leader"] | {"generations": generations}
        return metrics | {"consult": {"chosen": {"share_asked": share, "accuracy": 0.9}}}

    metrics = {"base": [asked(3.0, 0.25), asked(4.0, 0.75)], "steps": [told({"0": 0.5})]}
    base, steps = variant_rows(STUDY, plan_study(ROOT, STUDY), RUNS, metrics, {})
    assert (base.asking["generations"], base.asking["share_asked"], base.costs["generations"]) == (3.5, 0.5, 2)
    assert steps.asking == {}
    metrics["base"][1] = told({"0": 0.5})
    assert variant_rows(STUDY, plan_study(ROOT, STUDY), RUNS, metrics, {})[0].asking == {}

"""A study's plan: what two variants share is one step, of the first; a guest only evaluates; needs come before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from mlpo.config import parse_params
from mlpo.studies.plan import RunId, Step, StudyPlan, fingerprints, plan_study
from mlpo.studies.spec import Study

ROOT = Path(__file__).parents[2]
DESCRIPTION = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
RAW = yaml.safe_load((ROOT / "params.yaml").read_text())
AFTER_SFT = {"train_sft", "headroom", "train_mlpo", "calibrate", "evaluate", "register"}


def planned(variants: dict[str, Any], **more: Any) -> StudyPlan:
    study = Study.model_validate({"title": "t", "question": "q", "variants": variants} | more)
    return plan_study(ROOT, study)


def printed(change: dict[str, Any]) -> dict[str, str]:
    return fingerprints(DESCRIPTION, parse_params(RAW | change))


def parts(plan: StudyPlan, variant: str, seed: int = 0) -> list[str]:
    return [step.id.part for step in plan.steps_of(RunId(variant, seed))]


def step(plan: StudyPlan, variant: str, part: str) -> Step:
    (found,) = [step for step in plan.steps_of(RunId(variant, 0)) if step.id.part == part]
    return found


@pytest.mark.parametrize(
    ("change", "stale"),
    [
        ({"evaluate": {**RAW["evaluate"], "num_traces": 0}}, {"evaluate", "register"}),
        ({"train_mlpo": {**RAW["train_mlpo"], "steps": 1}}, {"train_mlpo", "calibrate", "evaluate", "register"}),
        ({"train_sft": {"epochs": 0}}, AFTER_SFT),
        ({"runtime": {**RAW["runtime"], "max_loaded_models": 5}}, set()),
        ({"train_mlpo": {**RAW["train_mlpo"], "save_steps": 3}}, set()),
        ({"prepare": {**RAW["prepare"], "num_test": 1}}, set(fingerprints(DESCRIPTION, parse_params(RAW)))),
    ],
)
def test_a_change_makes_what_reads_it_stale_and_nothing_else(change: dict[str, Any], stale: set[str]) -> None:
    before, after = printed({}), printed(change)
    assert before.keys() == after.keys() >= {"prepare", "propose@alpha", "demonstrate"}
    assert {stage for stage in before if before[stage] != after[stage]} == stale


def test_another_agent_leaves_its_colleagues_proposals_alone() -> None:
    team = RAW["team"] | {"alpha": {**RAW["team"]["alpha"], "model": "other"}}
    before, after = printed({}), printed({"team": team})
    same = {stage for stage in before if before[stage] == after[stage]}
    assert same == {
        "prepare",
        *("reference@alpha", "reference@beta", "reference@gamma", "propose@beta", "propose@gamma"),
    }


def test_a_variant_runs_only_what_the_first_has_not_made() -> None:
    plan = planned(
        {
            "base": {},
            "steps": {"set": {"train_mlpo": {"steps": 1}}},
            "no_sft": {"set": {"train_sft": {"epochs": 0}}},
            "traces": {"set": {"evaluate": {"num_traces": 0}}},
        }
    )
    assert parts(plan, "base") == ["agents", "train_sft", "train_mlpo", "evaluate"]
    assert parts(plan, "steps") == ["train_mlpo", "evaluate"]
    assert parts(plan, "no_sft") == ["train_sft", "train_mlpo", "evaluate"]
    assert parts(plan, "traces") == ["evaluate"]
    base = RunId("base", 0)
    team = [f"{stage}@{agent}" for stage in ("reference", "propose") for agent in RAW["team"]]
    assert dict(step(plan, "traces", "evaluate").takes_over) == dict.fromkeys(
        ("prepare", *team, "demonstrate", "train_sft", "headroom", "train_mlpo"), base
    )
    assert {need.part for need in step(plan, "steps", "train_mlpo").needs} == {"agents", "train_sft"}


def test_a_guest_takes_both_leaders_over_and_asks_its_own_team() -> None:
    plan = planned(
        {"base": {}, "rogue": {"set": {"team": {"alpha": {"model": "hostile"}}}, "leader": "base"}, "pair": {
            "set": {"team": {"gamma": None}}, "leader": "base"}}
    )  # fmt: skip
    assert step(plan, "rogue", "agents").stages == ("propose@alpha",)  # it has the same documents
    evaluate, base = step(plan, "rogue", "evaluate"), RunId("base", 0)
    owners = dict(evaluate.takes_over)
    assert (owners["train_sft"], owners["train_mlpo"], owners["propose@gamma"]) == (base, base, base)
    assert "propose@alpha" not in owners
    assert {(need.run.variant, need.part) for need in evaluate.needs} >= {("base", "train_mlpo"), ("rogue", "agents")}
    assert parts(plan, "pair") == ["evaluate"]
    assert "propose@gamma" not in dict(step(plan, "pair", "evaluate").takes_over)


def test_seeds_share_nothing_but_references_and_each_has_its_own_base() -> None:
    plan = planned({"base": {}, "two": {"set": {"rounds": {"num_rounds": 2}}, "leader": "base"}}, seeds=[0, 1])
    assert parts(plan, "base", 1) == ["agents", "train_sft", "train_mlpo", "evaluate"]
    (evaluate,) = plan.steps_of(RunId("two", 1))
    assert {owner.seed for stage, owner in evaluate.takes_over if not stage.startswith("reference@")} == {1}
    assert {owner.seed for stage, owner in evaluate.takes_over if stage.startswith("reference@")} == {0}


def test_what_two_evaluations_ask_is_asked_by_that_of_the_first_run_of_their_seed() -> None:
    plan = planned({"base": {}, "two": {"set": {"rounds": {"num_rounds": 2}}, "leader": "base"}}, seeds=[0, 1])
    waits = {step.id.run: step.after for step in plan.steps if step.id.part == "evaluate"}
    assert waits[RunId("base", 0)] is None
    assert waits[RunId("two", 1)] == (RunId("base", 1), "evaluate")
    assert {step.after for step in plan.steps if step.id.part != "evaluate"} == {None}


def test_proposals_that_are_refreshed_and_batches_that_are_shared_are_counted() -> None:
    change = {"steps": 8, "updates_per_batch": 2, "prompts_per_step": 4, "group_size": 3, "rounds_in_training": 0.5}
    plan = planned({"base": {"set": {"train_mlpo": change}}})
    # 4 batches of 4 prompts: 3 roll-outs each, and half of the prompts ask the team of 3 again
    assert step(plan, "base", "train_mlpo").cost.completions == 4 * 4 * 3 + 8 * 3


def test_every_step_can_be_reached() -> None:
    plan = planned(
        {"guest": {"leader": "other", "set": {"rounds": {"num_rounds": 2}}}, "other": {}, "third": {"set": {
            "train_sft": {"epochs": 0}}}}
    )  # fmt: skip
    done: set[object] = set()
    for _ in plan.steps:
        done |= {step.id for step in plan.steps if done.issuperset(step.needs)}
    assert done == {step.id for step in plan.steps}


def test_the_key_of_a_guest_is_not_that_of_a_run_with_its_parameters() -> None:
    change = {"rounds": {"num_rounds": 2}}
    plan = planned({"base": {}, "own": {"set": change}, "guest": {"set": change, "leader": "base"}})
    keys = {run.id.variant: run.key for run in plan.runs}
    assert len(set(keys.values())) == 3
    assert keys["base"] == planned({"another_name": {}}).runs[0].key


def test_costs_count_what_is_new_and_nothing_twice() -> None:
    plan = planned(
        {
            "base": {},
            "one_round": {"set": {"rounds": {"num_rounds": 1}}, "leader": "base"},
            "three": {"set": {"rounds": {"num_rounds": 3}, "evaluate": {"leaders": ["mlpo"]}}, "leader": "base"},
        },
        base={
            "rounds": {"num_rounds": 2},
            "prepare": {"num_test": 10, "num_train": 5, "num_calibration": 4},
            "propose": {"samples": 2},
        },
    )
    assert step(plan, "base", "evaluate").cost.completions == 10 * (3 * (2 * 4 - 3) + 2)
    assert step(plan, "one_round", "evaluate").cost.completions == 0
    assert step(plan, "three", "evaluate").cost.completions == 10 * 4
    own = RAW["demonstrate"]["leader_samples"]
    assert step(plan, "base", "agents").cost.completions == 3 * (5 * 2 + 4 + 10) + 5 * own

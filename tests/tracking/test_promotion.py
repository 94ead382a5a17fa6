"""To champion and back, with two real versions on a real store: gated, forced, undone, and always on record."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlpo.config import ConfigError, Params
from mlpo.tracking import promotion
from mlpo.tracking.connect import Connection
from mlpo.tracking.decisions import NAME, Decision
from mlpo.tracking.evaluations import add_evaluation
from mlpo.tracking.gate import Verdict, judge
from mlpo.tracking.promotion import consider, promote, refuse, rollback
from mlpo.tracking.registry import CHAMPION, aliases, get_version, leaders
from tests.tracking.candidates import candidate, register


@pytest.mark.usefixtures("trained")
def test_a_better_leader_takes_over_and_the_champion_becomes_previous(params: Params) -> None:
    register(candidate(params, "0" * 40))
    decision = register(candidate(params, "1" * 40, weights="w1")).decision
    assert decision.comparison is not None
    assert (decision.promoted, decision.champion, decision.comparison.improvement) == (True, 1, 1.0)
    assert {leader.version: leader.aliases for leader in leaders()} == {2: ("challenger", "champion"), 1: ("previous",)}


@pytest.mark.usefixtures("trained")
def test_a_leader_that_is_not_better_stays_challenger_with_the_reason_on_record(params: Params) -> None:
    register(candidate(params, "01" * 20))
    decision = register(candidate(params, "01" * 20, weights="w1")).decision
    assert not decision.promoted
    assert decision.comparison is not None
    assert decision.comparison.interval == (0.0, 0.0)
    assert {leader.version: leader.aliases for leader in leaders()} == {2: ("challenger",), 1: ("champion",)}
    assert leaders()[0].decision == decision


@pytest.mark.usefixtures("trained")
def test_force_needs_a_reason_and_records_it(params: Params) -> None:
    register(candidate(params, "1" * 40))
    register(candidate(params, "0" * 40, weights="w1"))
    with pytest.raises(ConfigError, match="needs a reason"):
        promote(2, force=True, reason=" ")
    decision = promote(2, force=True, reason="the champion's licence")
    assert (decision.promoted, decision.forced) == (True, True)
    assert "the champion's licence" in decision.reason
    assert leaders()[0].aliases == ("challenger", "champion")


@pytest.mark.slow
@pytest.mark.usefixtures("trained")
def test_what_is_considered_changes_nothing_until_a_person_agrees_or_refuses(params: Params) -> None:
    register(candidate(params, "0" * 40))
    register(candidate(params, "1" * 40, weights="w1"))
    rollback()
    on_record = [leader.decision for leader in leaders()]
    considered = consider(2, reason="Monday")
    assert (considered.promoted, considered.champion) == (True, 1)
    assert [leader.decision for leader in leaders()] == on_record
    refused = refuse(considered, "not today")
    assert (leaders()[0].decision, refused.promoted, refused.comparison) == (refused, False, considered.comparison)
    assert leaders()[1].aliases == ("champion",)
    assert promote(2, agreed=considered).promoted


@pytest.mark.slow
@pytest.mark.usefixtures("trained")
def test_an_agreement_does_not_hold_against_another_champion(params: Params) -> None:
    register(candidate(params, "0" * 40))
    register(candidate(params, "01" * 20, weights="w1"))
    register(candidate(params, "1" * 40, weights="w2"))
    for version in (1, 2):
        promote(version, force=True, reason="to begin with")
    promote(1, force=True, reason="to begin with")
    considered = consider(3)
    assert (considered.promoted, considered.champion) == (True, 1)
    promote(2, force=True, reason="somebody was faster")
    decision = promote(3, agreed=considered)
    assert (decision.promoted, decision.champion) == (False, 2)
    assert "version 2 became champion while a person was asked" in decision.reason
    assert leaders()[0].decision == decision


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize("force", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["gated", "forced"])
def test_a_champion_that_changes_while_the_gate_looks_is_the_one_that_counts(
    params: Params, connection: Connection, monkeypatch: pytest.MonkeyPatch, force: bool
) -> None:
    register(candidate(params, "0" * 40))
    register(candidate(params, "1" * 40, weights="w1"))
    register(candidate(params, "01" * 20, weights="w2"))
    rollback()

    def judged(*given: Any, **named: Any) -> Verdict:
        verdict = judge(*given, **named)
        connection.client.set_registered_model_alias(NAME, CHAMPION, "2")  # by another machine, which has its own lock
        return verdict

    monkeypatch.setattr(promotion, "judge", judged)
    decision = promote(3, force=force, reason="a drill" if force else None)  # better than version 1, worse than 2
    assert (decision.promoted, decision.champion) == (force, 2)
    assert decision.comparison is not None
    assert decision.comparison.improvement == -0.5
    expected = {"champion": 3, "previous": 2} if force else {"champion": 2, "previous": 2}
    assert {name: aliases(connection)[name] for name in expected} == expected


@pytest.mark.usefixtures("trained")
def test_rollback_swaps_champion_and_previous(params: Params) -> None:
    register(candidate(params, "0" * 40))
    with pytest.raises(ConfigError, match="no previous champion"):
        rollback()
    register(candidate(params, "1" * 40, weights="w1"))
    assert rollback().version == 1
    assert {leader.version: leader.aliases for leader in leaders()} == {2: ("challenger", "previous"), 1: ("champion",)}
    assert rollback().version == 2


@pytest.mark.usefixtures("trained")
def test_promoting_a_version_that_is_not_there_names_those_that_are(params: Params) -> None:
    register(candidate(params))
    with pytest.raises(ConfigError, match="no leader version 7; known versions: 1"):
        promote(7)


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize("flags", ["1" * 40, pytest.param("0" * 40, marks=pytest.mark.slow)], ids=["better", "worse"])
def test_a_decision_is_on_both_versions_and_in_the_run(flags: str, params: Params, connection: Connection) -> None:
    register(candidate(params, "01" * 20))
    decision = register(candidate(params, flags, weights="w1")).decision
    assert decision.promoted == (flags == "1" * 40)
    challenger, champion = get_version(connection, 2), get_version(connection, 1)
    told = [challenger.tags["decision"], champion.tags["decision.as_champion"]]
    [entry] = connection.client.list_artifacts(challenger.run_id, "decisions")
    told.append(Path(connection.client.download_artifacts(challenger.run_id, entry.path)).read_text(encoding="utf-8"))
    assert [Decision.from_json(text) for text in told] == [decision] * 3
    compared = json.loads(told[0])["comparison"]
    assert {compared[name] for name in ("tokens", "champion_tokens")} == {120.0}
    assert decision.by
    assert decision.at.endswith("+00:00")
    assert "decision.as_champion" not in challenger.tags


@pytest.mark.slow
@pytest.mark.usefixtures("trained")
def test_a_decision_outlives_the_run_it_was_made_for(params: Params, connection: Connection) -> None:
    register(candidate(params))
    register(candidate(params, weights="w1"))
    connection.client.delete_run(get_version(connection, 2).run_id)
    decision = promote(2, force=True, reason="a drill")
    assert leaders()[0].decision == decision


@pytest.mark.slow
@pytest.mark.usefixtures("trained")
def test_a_champion_of_another_set_is_compared_only_after_its_evaluation_on_this_one(params: Params) -> None:
    first, second = candidate(params, "01" * 20, prefix="q"), candidate(params, "1" * 40, weights="w1")
    register(first)
    refused = register(second).decision
    assert (refused.promoted, refused.comparison) == (False, None)
    assert "run `mlpo evaluate --leader 1` where version 2 was evaluated, then promote again" in refused.reason
    add_evaluation(1, replace(second.evaluation, scores=dict.fromkeys(second.evaluation.scores, False)))
    decision = promote(2)
    assert decision.promoted
    assert decision.comparison is not None
    assert (decision.comparison.champion_accuracy, decision.comparison.problems) == (0.0, second.evaluation.problems)


@pytest.mark.slow
@pytest.mark.usefixtures("trained")
def test_more_tokens_than_allowed_are_refused_with_both_figures(params: Params) -> None:
    register(candidate(params, "0" * 40))
    dear = candidate(params, "1" * 40, weights="w1")
    decision = register(replace(dear, evaluation=replace(dear.evaluation, completion_tokens=51.0))).decision
    # 100 + 51 against 1.25 * (100 + 20)
    assert not decision.promoted
    assert "it takes 151 tokens a problem, at most 150 are allowed" in decision.reason


def test_a_decision_written_by_other_code_can_be_read() -> None:
    old = {"version": 3, "promoted": True, "reason": "", "champion": None, "improvement": 0.5, "interval": [0.1, 0.9]}
    assert Decision.from_json(json.dumps(old)) == Decision(3, promoted=True, reason="", by="", at="")

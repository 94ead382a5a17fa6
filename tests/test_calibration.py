"""Fitting a policy: isotonic maps, thresholds on problems that the maps have not seen, and the basis it tells."""

from __future__ import annotations

import json
import random

import pytest

from mlpo.calibration import fit_map, fit_policy
from mlpo.method.consult_curve import ALWAYS, point
from mlpo.method.consult_policy import ConsultPolicy
from mlpo.method.consult_replay import Measured, attempts


def trails(n: int, *, seed: int = 0) -> list[tuple[Measured, ...]]:
    """Alone right with P 1 - entropy; the team right with .8, its drafts' entropies low where it is."""
    rng = random.Random(seed)
    made = []
    for _ in range(n):
        doubt = round(rng.random(), 4)
        alone = Measured(doubt, answered=True, correct=rng.random() > doubt, tokens=50, generations=1)
        rounds = []
        for _ in range(2):
            right = rng.random() < 0.8
            shown = round(rng.uniform(0, 0.5) + (0 if right else 0.4), 4)
            rounds.append(Measured(shown, answered=True, correct=right, tokens=400, generations=4))
        made.append((alone, *rounds))
    return made


def test_a_map_is_the_isotonic_fit_with_its_steps_drawn_to_their_middles() -> None:
    # right, right | wrong, right (pooled to 1/2) | wrong, wrong: steps 1 at (.1 + .2)/2, 1/2 at .35, 0 at .55
    fitted = fit_map([0.6, 0.1, 0.3, 0.5, 0.2, 0.4], [False, True, False, False, True, True], rising=False)
    assert fitted.knots == ((0.15, 1.0), (0.35, 0.5), (0.55, 0.0))
    assert fit_map([1.0, 0.0, 0.5], [True, False, True], rising=True).knots == ((0.0, 0.0), (0.75, 1.0))
    assert fit_map([], [], rising=True)(0.5) == 0.0


def test_a_map_says_what_share_is_right() -> None:
    fitted = fit_map(*zip(*[(t[0].signal, t[0].correct) for t in trails(4000)], strict=True), rising=False)
    assert [fitted(x) for x in (0.1, 0.5, 0.9)] == pytest.approx([0.9, 0.5, 0.1], abs=0.06)


def test_a_policy_asks_less_and_is_no_worse_than_always_asking_on_other_problems() -> None:
    policy = fit_policy(trails(300), price=0.05)
    others = [attempts(t, policy) for t in trails(2000, seed=1)]
    chosen, always = point(others, policy.ask_below, policy.again_below), point(others, ALWAYS, ALWAYS)
    assert chosen.accuracy > always.accuracy - 0.03  # one round is right on .8 of the problems, alone on .5
    assert chosen.tokens < 0.7 * always.tokens
    assert 0.3 < chosen.share_asked < 0.9


def test_a_higher_price_asks_less_and_a_share_is_kept() -> None:
    told = [fit_policy(trails(200), price=price).basis["chosen"]["share_asked"] for price in (0.0, 0.5, 3.0)]
    assert told[0] > told[1] > told[2] == 0.0
    assert fit_policy(trails(200), share=0.3).basis["chosen"]["share_asked"] <= 0.3


def test_the_basis_says_what_was_measured_and_fits_into_json() -> None:
    fitted = fit_policy(trails(100), problems="calibration, seed 0")
    assert ConsultPolicy.from_json(json.loads(json.dumps(fitted.to_json(), allow_nan=False))) == fitted
    basis = fitted.basis
    assert (basis["problems"], basis["n"], basis["when"], basis["continue"]) == (
        "calibration, seed 0", 100, "unsure", "while_unsure",
    )  # fmt: skip
    # alone costs 50 tokens, a round 400: one round 400, two 800, none of them with an answer alone
    assert {name: row["tokens"] for name, row in basis["fixed"].items()} == {
        "alone": 50, "rounds_1": 400, "rounds_2": 800,
    }  # fmt: skip
    assert [basis["confidence"][name]["n"] for name in ("alone", "first", "later")] == [100, 100, 100]
    assert basis["confidence"]["first"]["auc"] > 0.8


def test_one_by_one_each_answer_has_a_map_and_drafts_a_threshold_of_their_own() -> None:
    # alone, after each of three agents (a third of the cost of a round each) and after a second round
    agent = {"tokens": 120, "generations": 1, "draft_tokens": 40, "draft_generations": 1}
    measured = [
        (t[0], t[1]._replace(**agent), t[2]._replace(**agent), t[2]._replace(tokens=160, generations=2), t[2])
        for t in trails(300)
    ]
    always = [(t[0], t[1], t[2]) for t in trails(300)]
    fitted = fit_policy(measured, one_by_one=3, always=always, keep_asking="always", price=0.05)
    assert list(fitted.maps) == ["alone", "1 agent", "2 agents", "first", "later"]
    assert [row["n"] for row in fitted.basis["confidence"].values()] == [300] * 5
    assert fitted.basis["fixed"]["rounds_1"]["tokens"] == 400
    assert fitted.again_below < ALWAYS
    assert fitted.basis["chosen"]["tokens"] < 0.7 * 400
    assert ConsultPolicy.from_json(json.loads(json.dumps(fitted.to_json()))) == fitted


def test_each_problem_is_judged_by_maps_that_have_not_seen_it() -> None:
    # entropies without meaning: in hindsight an isotonic fit finds some order in them, on unseen problems it cannot
    rng = random.Random(3)
    noise = [tuple(m._replace(signal=round(rng.random(), 4)) for m in t) for t in trails(100)]
    assert abs(fit_policy(noise).basis["confidence"]["alone"]["auc"] - 0.5) < 0.12


@pytest.mark.parametrize("keep_asking", ["always", "while_unsure"])
def test_who_always_asks_pays_for_no_answer_alone(keep_asking: str) -> None:
    chosen = fit_policy(trails(100), when="always", keep_asking=keep_asking, price=0.05).basis["chosen"]
    assert (chosen["ask_below"], chosen["share_asked"]) == (ALWAYS, 1.0)
    assert chosen["tokens"] == 800 if keep_asking == "always" else 400 <= chosen["tokens"] < 800


def test_who_never_asks_is_the_leader_alone() -> None:
    chosen = fit_policy(trails(100), when="never").basis["chosen"]
    assert (chosen["tokens"], chosen["share_asked"]) == (50, 0.0)


def test_agreement_rises_with_right_where_entropy_falls() -> None:
    flipped = [tuple(m._replace(signal=1 - (m.signal or 0)) for m in t) for t in trails(200)]
    fitted = fit_policy(flipped, signal="agreement", num_samples=4)
    assert (fitted.signal, fitted.num_samples) == ("agreement", 4)
    assert fitted.alone(0.9) > fitted.alone(0.1) + 0.5


def test_what_cannot_be_calibrated_on_is_refused() -> None:
    with pytest.raises(ValueError, match="answered alone and in at least 1 round"):
        fit_policy([t[:1] for t in trails(5)])
    silent = [tuple(m._replace(signal=None) for m in t) for t in trails(5)]
    with pytest.raises(ValueError, match=r"comes with its entropy, so none can be judged; set consult\.samples"):
        fit_policy(silent)


def test_few_problems_and_answers_that_cannot_be_read_are_no_obstacle() -> None:
    few = [(t[0]._replace(answered=False, correct=False), *t[1:]) for t in trails(2)]
    assert fit_policy(few).basis["n"] == 2

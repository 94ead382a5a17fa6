"""Stage `calibrate`: all that is chosen for a trained leader, on calibration problems (leader -> data/calibration).

routing.json   what the routers know: the best source by family, and the cut of the overlap
consult.json   when the leader is unsure: confidence maps, and thresholds below which it asks
metrics.json   the leader alone and after each round, with intervals of what another round adds
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlpo.calibration import fit_policy
from mlpo.config import Params
from mlpo.equivalence import is_equivalent
from mlpo.evaluation.policy import write_policy
from mlpo.evaluation.routing import write_routing
from mlpo.evaluation.strategies import CONSULT, measured_entrant, num_partial_drafts
from mlpo.files import write_json_atomic
from mlpo.inference.model_pool import Models
from mlpo.layout import (
    CALIBRATION_METRICS,
    CALIBRATION_PROBLEMS,
    CONSULT_POLICY,
    MLPO_LEADER,
    PROPOSALS,
    ROUTING,
    SHOT_PROBLEMS,
    TRAIN_PROBLEMS,
)
from mlpo.method.confidence import Signal
from mlpo.method.consult_policy import ConsultPolicy
from mlpo.method.consult_replay import asked_together, measured
from mlpo.method.headroom import captured_headroom, headroom, proposal_chances
from mlpo.method.metrics.evaluation import Graded, accuracy_interval, grade, paired_difference
from mlpo.method.metrics.shares import rounded
from mlpo.method.routing import fit_routing
from mlpo.method.selection import ProposalSet
from mlpo.stages.calibration import calibration_problems, check_leader, play_on_calibration
from mlpo.stages.timings import stage_clock
from mlpo.team.prompts import team_prompts
from mlpo.team.proposals import read_proposal_sets
from mlpo.tracking.stage_run import stage_run

INPUTS = (TRAIN_PROBLEMS, CALIBRATION_PROBLEMS, SHOT_PROBLEMS, PROPOSALS, MLPO_LEADER)
OUTPUTS = (ROUTING, CONSULT_POLICY, CALIBRATION_METRICS)


def run(params: Params, *, models: Models | None = None) -> None:
    """Play the leader alone and with its team on calibration problems, and choose what is to be chosen there.

    Without calibration problems the routers know their table alone, and there is no policy.

    Raises:
        ConfigError: problems, proposals or the leader are missing; nothing is written.
    """
    check_leader(MLPO_LEADER, "train_mlpo")
    with (
        stage_clock("calibrate") as clock,
        stage_run("calibrate", params, inputs=INPUTS, outputs=OUTPUTS) as tracked,
    ):
        graded: list[Graded] = []
        if calibration_problems():
            entrant = measured_entrant(params, team_prompts(params))
            graded = play_on_calibration(params, MLPO_LEADER, CONSULT, entrant, clock, models)
        metrics = choose(params, graded)
        write_json_atomic(CALIBRATION_METRICS, metrics)
        tracked.log_result({f"accuracy.{name}": row["accuracy"] for name, row in metrics["rounds"].items()})
    for name, row in metrics["rounds"].items():
        low, high = row["interval"]
        print(f"{name}: {row['accuracy']:.3f} [{low:.3f}, {high:.3f}] on {metrics['n']} calibration problems")


def choose(params: Params, graded: Sequence[Graded]) -> dict[str, Any]:
    """Write routing and policy, and return what metrics.json of the calibration has.

    Args:
        graded: the leader alone and then all its rounds, a problem each; asked one by one, after each agent.
    """
    agents, alone = tuple(params.team), {g.problem.id: g.rounds_correct[0] for g in graded}
    train = read_proposal_sets(agents, equivalent=is_equivalent)
    held = read_proposal_sets(agents, split=CALIBRATION_PROBLEMS, equivalent=is_equivalent)
    write_routing(fit_routing(train, held, alone, seed=params.seed))
    together = _together(params, graded)
    policy = policy_of(params, graded, together)
    write_policy(policy)
    sets = {each.problem.id: each for each in held}
    return {
        "n": len(graded),
        "rounds": by_round(together, params),
        "headroom": _headroom([sets[g.problem.id] for g in together], together, params) if graded else None,
        "policy": policy.to_json() if policy else None,
    }


def _together(params: Params, graded: Sequence[Graded]) -> Sequence[Graded]:
    """The same where all agents are asked together."""
    if not params.consult.one_by_one:
        return graded
    whole = (asked_together(g.transcript, num_partial_drafts(params)) for g in graded)
    return [grade(t, g.problem, equivalent=is_equivalent) for t, g in zip(whole, graded, strict=True)]


def policy_of(params: Params, graded: Sequence[Graded], together: Sequence[Graded]) -> ConsultPolicy | None:
    """When the leader is unsure; None where nothing was played, or its model does not tell and nobody asks by that.

    Raises:
        ValueError: its model does not tell, and the parameters say to ask by it.
    """
    consult, asks_by_doubt = params.consult, params.is_selective
    signal: Signal = "agreement" if consult.samples else "entropy"
    trails = [measured(g, signal, num_partial_drafts(params)) for g in graded]
    if not trails:  # who asks by it is told where it is read
        return None
    if not asks_by_doubt and all(made.signal is None for trail in trails for made in trail):
        print(f"no policy: the leader's model does not tell the {signal} of its answers; consult.samples would do")
        return None
    return fit_policy(
        trails,
        signal=signal,
        num_samples=consult.samples,
        when=consult.when if asks_by_doubt else "unsure",
        keep_asking=params.rounds.keep_asking if asks_by_doubt else "while_unsure",
        price=consult.price,
        share=consult.share,
        one_by_one=len(params.team) if consult.one_by_one else 0,
        always=[measured(g, signal) for g in together],
    )


def by_round(graded: Sequence[Graded], params: Params) -> dict[str, dict[str, Any]]:
    """ "alone", "round 1", ... -> accuracy with its interval, and what it adds to the one before, paired."""
    settings: dict[str, Any] = {"confidence": params.evaluate.confidence}
    columns = list(zip(*(g.rounds_correct for g in graded), strict=True))
    rows: dict[str, dict[str, Any]] = {}
    for number, flags in enumerate(columns):
        interval = accuracy_interval(sum(flags), len(flags), **settings)
        row: dict[str, Any] = {"accuracy": rounded(sum(flags) / len(flags)), "interval": list(interval)}
        if number and len(flags) > 1:
            before = columns[number - 1]
            gained = paired_difference(
                flags, before, num_samples=params.evaluate.bootstrap_samples, seed=params.seed, **settings
            )
            row |= {"difference": gained.difference, "difference_interval": list(gained.interval)}
        rows[f"round {number}" if number else "alone"] = row
    return rows


def _headroom(sets: Sequence[ProposalSet], graded: Sequence[Graded], params: Params) -> dict[str, Any]:
    """What the team could win for this leader, and how much of it its last round has."""
    chances = proposal_chances(sets, {g.problem.id: g.rounds_correct[0] for g in graded})
    settings: dict[str, Any] = {"confidence": params.evaluate.confidence}
    taken = captured_headroom(
        chances,
        [g.rounds_correct[-1] for g in graded],
        num_samples=params.evaluate.bootstrap_samples,
        seed=params.seed,
        **settings,
    )
    return headroom(chances, **settings) | {name: taken[name] for name in ("with_team", "won", "lost", "captured")}

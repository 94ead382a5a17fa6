"""What asking only when unsure gives on problems that were also answered alone and in all rounds: for the report.

    {"signal": "entropy" or "agreement", "ask_below": t, "again_below": t,              chosen on calibration problems
     "chosen": the point at these thresholds, "fixed": {"alone" or "rounds_<t>": the point of always stopping there},
     "curves": {"one_round", "while_unsure", "all_rounds": [a point for every threshold of the answer alone]},
     "confidence": {"alone", "first", "later": {"n", "auc", "calibration_error", "bins"}}}

A point is {"ask_below", "again_below", "accuracy", "share_asked", "generations", "tokens"}, means a problem. Points are
replayed from a leader's solo transcripts and its rounds: no model is asked, and thresholds are not chosen here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlpo.method.confidence import confidence_report
from mlpo.method.consult import ConsultPolicy
from mlpo.method.consult_curve import ALWAYS, NEVER, Attempt, Point, curve, point
from mlpo.method.consult_replay import attempts, joined, measured
from mlpo.method.metrics import Graded

MAPS = ("alone", "first", "later")
"""Of the answer alone, of the draft of round 1, of later drafts."""
MAX_POINTS = 60
"""Points of a curve; of more, evenly spaced ones are kept."""


def consult_metrics(solo: Sequence[Graded], team: Sequence[Graded], policy: ConsultPolicy) -> dict[str, Any]:
    """The part of metrics.json about asking only when unsure; {} where the leader's answers show no signal.

    Args:
        solo, team: the leader alone and with its team, on the same problems in any order.
    Raises:
        ValueError: they did not answer the same problems.
    """
    rounds = {g.problem.id: g for g in team}
    if rounds.keys() != {g.problem.id for g in solo}:
        raise ValueError("asking when unsure is replayed on problems that were answered alone and with the team")
    shown = [measured(joined(g, rounds[g.problem.id]), policy.signal) for g in solo]
    if all(made.signal is None for trail in shown for made in trail):
        return {}
    trails = [attempts(trail, policy) for trail in shown]
    return {
        "signal": policy.signal,
        "ask_below": policy.ask_below,
        "again_below": policy.again_below,
        "chosen": point(trails, policy.ask_below, policy.again_below)._asdict(),
        "fixed": {name: each._asdict() for name, each in fixed_points(trails).items()},
        "curves": {
            "one_round": _thinned(curve([trail[:2] for trail in trails], NEVER)),
            "while_unsure": _thinned(curve(trails, policy.again_below)),
            "all_rounds": _thinned(curve(trails, ALWAYS)),
        },
        "confidence": {name: told_apart(trails, name) for name in MAPS[: max(map(len, trails))]},
    }


def fixed_points(trails: Sequence[Sequence[Attempt]]) -> Mapping[str, Point]:
    """What never and always asking give: the last answer of that many rounds, however sure, no answer alone before."""
    longest = max(map(len, trails))
    blind = {"alone": [trail[:1] for trail in trails]}
    blind |= {f"rounds_{t}": [_only_last(trail[1 : t + 1]) for trail in trails] for t in range(1, longest)}
    return {name: point(rows, NEVER, NEVER) for name, rows in blind.items()}


def told_apart(trails: Sequence[Sequence[Attempt]], name: str) -> Mapping[str, Any]:
    """How well P(right) tells the answers of one map apart."""
    place = MAPS.index(name)
    made = [a for trail in trails for at, a in enumerate(trail) if min(at, 2) == place]
    return confidence_report([a.confidence for a in made], [a.correct for a in made])


def _only_last(rounds: Sequence[Attempt]) -> tuple[Attempt, ...]:
    """Rounds that are all paid for and of which the last one's answer is given."""
    last = rounds[-1]
    return (last._replace(tokens=sum(a.tokens for a in rounds), generations=sum(a.generations for a in rounds)),)


def _thinned(points: Sequence[Point]) -> list[dict[str, float]]:
    """Both ends and evenly spaced points between."""
    last = len(points) - 1
    step = max(1, -(-last // (MAX_POINTS - 1)))
    places = sorted({*range(0, last + 1, step), last})
    return [points[place]._asdict() for place in places]

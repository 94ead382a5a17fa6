"""What asking only when unsure gives on problems that were also answered alone and in all rounds: for the report.

    {"signal": "entropy" or "agreement", "ask_below": t, "again_below": t,              chosen on calibration problems
     "chosen": the point at these thresholds, "fixed": {"alone" or "rounds_<t>": the point of always stopping there},
     "curves": {"one_round", "while_unsure", "all_rounds": [a point for every threshold of the answer alone]},
     "confidence": {"alone", "1 agent", ..., "first", "later": {"n", "auc", "calibration_error", "bins"}}}

A point is {"ask_below", "again_below", "accuracy", "share_asked", "generations", "tokens"}, means a problem. Points are
replayed from a leader's solo transcripts and its rounds, or from its drafts after each agent where agents are asked one
by one: no model is asked, and thresholds are not chosen here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlpo.method.confidence import confidence_report
from mlpo.method.consult_curve import ALWAYS, NEVER, Attempt, Point, curve, point
from mlpo.method.consult_policy import ConsultPolicy, measuring
from mlpo.method.consult_replay import MeasuredTrail, attempts, joined, measured
from mlpo.method.metrics.evaluation import Graded

MAX_POINTS = 60
"""Points of a curve; of more, evenly spaced ones are kept."""


def consult_metrics(
    solo: Sequence[Graded], team: Sequence[Graded], policy: ConsultPolicy, *, one_by_one: Sequence[Graded] = ()
) -> dict[str, Any]:
    """The part of metrics.json about asking only when unsure; {} where the leader's answers show no signal.

    Args:
        solo, team: the leader alone and with its team, on the same problems in any order.
        one_by_one: its transcripts of `mlpo.method.consult.every_answer` on them, where agents are asked one by one.
    Raises:
        ValueError: they did not answer the same problems.
    """
    rounds = {g.problem.id: g for g in team}
    if rounds.keys() != {g.problem.id for g in solo}:
        raise ValueError("asking when unsure is replayed on problems that were answered alone and with the team")
    together = [measured(joined(g, rounds[g.problem.id]), policy.signal) for g in solo]
    shown = [measured(g, policy.signal, len(policy.partial)) for g in one_by_one] or together
    if all(made.signal is None for trail in shown for made in trail):
        return {}
    trails = [attempts(trail, policy) for trail in shown]
    return {
        "signal": policy.signal,
        "ask_below": policy.ask_below,
        "again_below": policy.again_below,
        "chosen": point(trails, policy.ask_below, policy.again_below)._asdict(),
        "fixed": {name: each._asdict() for name, each in fixed_points(together).items()},
        "curves": {
            "one_round": _thinned(_curve_of_one_round(trails, policy)),
            "while_unsure": _thinned(curve(trails, policy.again_below)),
            "all_rounds": _thinned(curve(trails, ALWAYS)),
        },
        "confidence": told_apart(trails, tuple(policy.maps)),
    }


def _curve_of_one_round(trails: Sequence[Sequence[Attempt]], policy: ConsultPolicy) -> list[Point]:
    """Of agents asked one by one, the thresholds of the answer alone and of the drafts after it move together."""
    first = [trail[: 2 + len(policy.partial)] for trail in trails]
    return curve(first, None if policy.partial else NEVER)


def fixed_points(measurements: Sequence[MeasuredTrail]) -> Mapping[str, Point]:
    """What never and always asking give: the last answer of that many rounds, however sure, no answer alone before."""
    trails = [attempts(trail, measuring()) for trail in measurements]
    longest = max(map(len, trails))
    blind = {"alone": [trail[:1] for trail in trails]}
    blind |= {f"rounds_{t}": [_only_last(trail[1 : t + 1]) for trail in trails] for t in range(1, longest)}
    return {name: point(rows, NEVER, NEVER) for name, rows in blind.items()}


def told_apart(trails: Sequence[Sequence[Attempt]], names: Sequence[str]) -> Mapping[str, Any]:
    """How well P(right) tells right answers from wrong ones, by the names of `attempt_names`."""
    made: dict[str, list[Attempt]] = {name: [] for name in names}
    for trail in trails:
        for place, attempt in enumerate(trail):
            made[names[min(place, len(names) - 1)]].append(attempt)
    rows = ((name, row) for name, row in made.items() if row)
    return {name: confidence_report([a.confidence for a in row], [a.correct for a in row]) for name, row in rows}


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

"""A policy for asking the team, fitted on calibration problems: isotonic maps to P(right), then the thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np

from mlpo.method.confidence import ConfidenceMap, Signal
from mlpo.method.consult import KeepAsking, When
from mlpo.method.consult_curve import ALWAYS, NEVER, Attempt, Point, best, choose_thresholds, curve, point
from mlpo.method.consult_metrics import fixed_points, told_apart
from mlpo.method.consult_policy import ConsultPolicy, attempt_names
from mlpo.method.consult_replay import MeasuredTrail, attempts

NUM_FOLDS = 5
"""Parts of the calibration problems: each is judged by maps that were fitted on the others."""
PLACES = 6


def fit_map(signals: Sequence[float], correct: Sequence[bool], *, rising: bool) -> ConfidenceMap:
    """The isotonic regression of right on the signal, each of its steps drawn together into its middle.

    Between two middles P goes straight, so that answers of one step are still told apart (centred isotonic regression,
    arXiv:1701.05964). Without any answer P is 0.

    Args:
        rising: P rises with the signal; else it falls.
    """
    from sklearn.isotonic import IsotonicRegression  # takes a second to import

    if not signals:
        return ConfidenceMap(((0.0, 0.0),))
    x, order = np.asarray(signals, dtype=np.float64), np.argsort(signals, kind="stable")
    regression = IsotonicRegression(y_min=0.0, y_max=1.0, increasing=rising)
    fitted = regression.fit_transform(x, np.asarray(correct, dtype=np.float64))[order]
    steps = groupby(zip(x[order].tolist(), fitted.tolist(), strict=True), key=lambda pair: round(pair[1], PLACES))
    middles = ((round(float(np.mean([signal for signal, _ in step])), PLACES), p) for p, step in steps)
    return ConfidenceMap(tuple(middles))


def fit_policy(
    trails: Sequence[MeasuredTrail],
    *,
    signal: Signal = "entropy",
    num_samples: int = 0,
    when: When = "unsure",
    keep_asking: KeepAsking = "while_unsure",
    price: float = 0.0,
    share: float | None = None,
    one_by_one: int = 0,
    always: Sequence[MeasuredTrail] | None = None,
    problems: str = "calibration",
) -> ConsultPolicy:
    """Maps from all trails; thresholds that are worth most on them, each judged by maps that have not seen it.

    Args:
        trails: a problem each: the answer alone, after round 1, and so on, all of them made.
        price: right answers that 1000 tokens are worth.
        share: of the problems, at most so many may ask.
        one_by_one: how many agents were asked one by one; 0 if all were asked together.
        always: what asking them together makes of the same problems, for the basis; None if the trails are that.
        problems: what the basis calls them.
    Raises:
        ValueError: no problems, trails without a round, or a leader that shows no signal.
    """
    _check(trails, signal)
    num_partial = max(one_by_one - 1, 0)
    unseen = _judged_by_others(trails, signal, num_partial)
    chosen = _choose(unseen, when, "while_unsure" if num_partial else keep_asking, price, share)
    fitted = _fitted(trails, signal, num_partial)
    basis = {
        "problems": problems,
        "n": len(trails),
        "when": when,
        "continue": keep_asking,
        "price": price,
        "share": share,
        "one_by_one": one_by_one,
        "chosen": chosen._asdict(),
        "fixed": {name: each._asdict() for name, each in fixed_points(always or trails).items()},
        "confidence": told_apart(unseen, tuple(fitted.maps)),
    }
    return replace(
        fitted, ask_below=chosen.ask_below, again_below=chosen.again_below, num_samples=num_samples, basis=basis
    )


def _check(trails: Sequence[MeasuredTrail], signal: Signal) -> None:
    if not trails or min(map(len, trails)) < 2:
        raise ValueError("a policy needs problems that were answered alone and in at least 1 round; calibrate on more")
    if all(made.signal is None for trail in trails for made in trail):
        raise ValueError(
            f"no answer of the leader comes with its {signal}, so none can be judged; "
            "set consult.samples, and the agreement of so many samples is used"
        )


def _fitted(trails: Sequence[MeasuredTrail], signal: Signal, num_partial: int) -> ConsultPolicy:
    """The maps, with thresholds that ask nobody; where no later round was played its map is that of round 1."""
    names = attempt_names(num_partial)
    seen: dict[str, list[tuple[float, bool]]] = {name: [] for name in names}
    for trail in trails:
        for place, made in enumerate(trail):
            if (made.answered or made.draft_generations) and made.signal is not None:
                seen[names[min(place, len(names) - 1)]].append((made.signal, made.correct))
    alone, *partial, first, later = (
        fit_map([x for x, _ in pairs], [y for _, y in pairs], rising=signal == "agreement") for pairs in seen.values()
    )
    return ConsultPolicy(signal, alone, first, later if seen["later"] else first, NEVER, NEVER, tuple(partial))


def _judged_by_others(trails: Sequence[MeasuredTrail], signal: Signal, num_partial: int) -> list[tuple[Attempt, ...]]:
    """Each trail with P(right) of maps fitted on the folds that it is not in."""
    folds = min(NUM_FOLDS, len(trails))
    judges = []
    for fold in range(folds):
        others = [trail for place, trail in enumerate(trails) if place % folds != fold] or list(trails)
        judges.append(_fitted(others, signal, num_partial))
    return [attempts(trail, judges[place % folds]) for place, trail in enumerate(trails)]


def _choose(
    trails: Sequence[Sequence[Attempt]], when: When, keep_asking: KeepAsking, price: float, share: float | None
) -> Point:
    if when == "unsure":
        return choose_thresholds(trails, price=price, share=share, while_unsure=keep_asking == "while_unsure")
    if when == "never":
        return point(trails, NEVER, NEVER)
    drafts = [trail[1:] for trail in trails]  # no answer alone is made
    again = best(curve(drafts), price=price).again_below if keep_asking == "while_unsure" else ALWAYS
    return point(drafts, again, again)._replace(ask_below=ALWAYS, share_asked=1.0)

"""Thresholds replayed on trails: go on while unsure, give the surest answer, count what was paid."""

from __future__ import annotations

import pytest

from mlpo.method.consult_curve import (
    ALWAYS,
    NEVER,
    Attempt,
    Point,
    best,
    choose_thresholds,
    curve,
    cuts,
    frontier,
    point,
    replayed,
    surest,
)


def trail(*attempts: tuple[float, bool]) -> tuple[Attempt, ...]:
    """Alone costs 10 tokens and 1 generation, a round 100 and 4."""
    return tuple(
        Attempt(sure, answered=True, correct=right, tokens=100 if place else 10, generations=4 if place else 1)
        for place, (sure, right) in enumerate(attempts)
    )


SURE_AND_RIGHT = trail((0.9, True), (0.6, False), (0.7, True))
UNSURE_AND_SAVED = trail((0.2, False), (0.8, True), (0.3, False))
SAVED_LATE = trail((0.3, False), (0.4, False), (0.6, True))
TRAILS = [SURE_AND_RIGHT, UNSURE_AND_SAVED, SAVED_LATE]


def test_the_surest_answer_is_given_of_equals_the_latest_and_none_only_where_there_is_no_other() -> None:
    assert surest([(True, 0.4), (True, 0.9), (True, 0.6)]) == 1
    assert surest([(True, 0.5), (True, 0.5)]) == 1
    assert surest([(True, 0.0), (False, 0.0)]) == 0
    assert surest([(False, 0.0), (False, 0.0)]) == 1


@pytest.mark.parametrize(
    ("ask_below", "again_below", "expected"),
    [
        (NEVER, NEVER, (False, False, 1, 10)),
        (0.2, NEVER, (False, False, 1, 10)),  # 0.2 is not below 0.2
        (0.5, NEVER, (True, True, 5, 110)),
        (0.5, 0.5, (True, True, 5, 110)),  # the draft is 0.8 sure
        (ALWAYS, ALWAYS, (True, True, 9, 210)),  # the first draft stays the surest
    ],
)
def test_a_trail_is_walked_while_it_is_unsure(
    ask_below: float, again_below: float, expected: tuple[bool, bool, int, int]
) -> None:
    assert tuple(replayed(UNSURE_AND_SAVED, ask_below, again_below)) == expected


def test_a_point_is_the_mean_over_problems() -> None:
    # only the first is sure alone; the second is sure after round 1, the third goes on to round 2: all right
    # 1 + 5 + 9 generations, 10 + 110 + 210 tokens
    assert point(TRAILS, 0.5, 0.5) == Point(0.5, 0.5, 1.0, round(2 / 3, 6), 5.0, 110.0)
    with pytest.raises(ValueError, match="at least one problem"):
        point([], 0.5, 0.5)


def test_cuts_part_confidences_in_every_way() -> None:
    assert cuts([0.5, 0.1, 0.5, 0.2]) == [NEVER, pytest.approx(0.15), pytest.approx(0.35), ALWAYS]
    tiny = 5e-324  # nothing lies between 0 and the smallest float
    assert cuts([0.0, tiny])[1] == tiny


def test_a_curve_goes_from_never_to_always_asking() -> None:
    points = curve(TRAILS, ALWAYS)
    assert [p.share_asked for p in points] == [0.0, round(1 / 3, 6), round(2 / 3, 6), 1.0]
    assert points == [point(TRAILS, p.ask_below, ALWAYS) for p in points]
    assert [p.accuracy for p in points] == [round(x / 3, 6) for x in (1, 2, 3, 3)]


def test_one_threshold_may_judge_all_answers() -> None:
    points = curve(TRAILS)
    assert points == [point(TRAILS, p.ask_below, p.ask_below) for p in points]
    assert any(p.accuracy == 1.0 and p.tokens == 110.0 for p in points)


def test_the_best_point_is_worth_most_within_the_share_and_of_equals_the_cheapest() -> None:
    points = curve(TRAILS, ALWAYS)
    assert best(points).share_asked == round(2 / 3, 6)  # as right as always asking, and cheaper
    assert best(points, share=0.5).share_asked == round(1 / 3, 6)
    assert best(points, share=0.1).share_asked == 0.0
    # asking on one more problem costs 200 tokens of 3 and wins 1 of 3: worth it below a price of 1/3 / (200/3/1000) = 5
    assert best(points, price=4.9).share_asked == round(2 / 3, 6)
    assert best(points, price=5.1).share_asked == 0.0


def test_chosen_thresholds_are_no_worse_than_any_other_pair() -> None:
    chosen = choose_thresholds(TRAILS)
    assert chosen == point(TRAILS, chosen.ask_below, chosen.again_below)
    assert (chosen.accuracy, chosen.tokens) == (1.0, 110.0)
    every = [point(TRAILS, a, b) for a in cuts([0.9, 0.2, 0.3]) for b in cuts([0.6, 0.8, 0.4])]
    assert chosen.worth(1.0) <= choose_thresholds(TRAILS, price=1.0).worth(1.0) == max(p.worth(1.0) for p in every)


def test_without_a_choice_after_a_round_all_rounds_are_played() -> None:
    chosen = choose_thresholds(TRAILS, while_unsure=False)
    assert (chosen.again_below, chosen.tokens) == (ALWAYS, round((10 + 210 + 210) / 3, 6))


def test_the_frontier_holds_what_nothing_cheaper_reaches() -> None:
    points = [Point(0, 0, a, 0, 0, t) for a, t in ((0.5, 10), (0.4, 20), (0.7, 30), (0.7, 40), (0.6, 5))]
    assert [(p.accuracy, p.tokens) for p in frontier(points)] == [(0.6, 5), (0.7, 30)]

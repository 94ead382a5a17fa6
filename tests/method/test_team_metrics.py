"""What a strategy makes of its team, counted by hand."""

from __future__ import annotations

from mlpo.method.metrics.team_metrics import TeamOutcome, team_metrics

YES, NO = True, False
OUTCOMES = [
    TeamOutcome((YES, YES, YES), 3, vote_correct=YES, correct=YES),
    TeamOutcome((NO, NO, NO), 3, vote_correct=NO, correct=NO),  # unanimous and wrong
    TeamOutcome((YES, NO, NO), 2, vote_correct=NO, correct=YES),  # rescued, the right one in front
    TeamOutcome((YES, NO, NO), 1, vote_correct=YES, correct=NO),  # three answers; the vote takes the first
    TeamOutcome((NO, NO, YES), 2, vote_correct=NO, correct=NO),
    TeamOutcome((NO, NO, NO), 0, vote_correct=NO, correct=NO),  # nobody answered
]
METRICS = team_metrics(OUTCOMES)


def test_accuracy_by_number_of_correct_proposals() -> None:
    assert METRICS["by_num_correct"] == {
        "0": {"accuracy": 0, "n": 2},
        "1": {"accuracy": 0.333333, "n": 3},
        "2": {"accuracy": 0, "n": 0},
        "3": {"accuracy": 1, "n": 1},
    }


def test_position_is_measured_where_one_alone_is_right() -> None:
    assert METRICS["by_position"] == {
        "0": {"accuracy": 0.5, "n": 2},
        "1": {"accuracy": 0, "n": 0},
        "2": {"accuracy": 0, "n": 1},
    }


def test_unanimity_is_calibrated_by_the_vote() -> None:
    assert METRICS["by_agreement"] == {
        "0": {"accuracy": 0, "vote_accuracy": 0, "n": 1},
        "1": {"accuracy": 0, "vote_accuracy": 1, "n": 1},
        "2": {"accuracy": 0.5, "vote_accuracy": 0, "n": 2},
        "3": {"accuracy": 0.5, "vote_accuracy": 0.5, "n": 2},
    }
    assert METRICS["agreement"] == 0.611111  # (3 + 3 + 2 + 1 + 2 + 0) / 18


def test_rescued_and_talked_out_are_shares_of_wrong_and_right_votes() -> None:
    assert METRICS["rescued"] == {"share": 0.25, "n": 4}
    assert METRICS["talked_out_of_vote"] == {"share": 0.5, "n": 2}


def test_one_agent_has_no_position_and_nobody_to_agree_with() -> None:
    alone = team_metrics([TeamOutcome((YES,), 1, vote_correct=YES, correct=YES)])
    assert alone["by_num_correct"] == {"0": {"accuracy": 0, "n": 0}, "1": {"accuracy": 1, "n": 1}}
    assert (alone["by_position"], alone["by_agreement"], alone["agreement"]) == ({}, {}, 0)


def test_no_team_is_nothing() -> None:
    nothing = {"share": 0, "n": 0}
    assert team_metrics([]) == {
        "by_num_correct": {}, "by_position": {}, "by_agreement": {}, "agreement": 0,
        "rescued": nothing, "talked_out_of_vote": nothing,
    }  # fmt: skip

"""The browser's data: marks agree with metrics.json, texts are said once, and what does not fit is left out whole."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mlpo.method.metrics.evaluation import Graded
from mlpo.report import browser_data, choose_cases
from mlpo.report.browser import marks, parts
from mlpo.types import Passage


def test_marks_say_rescued_and_talked_out(graded: dict[str, list[Graded]]) -> None:
    # drafts repeat every 4 problems (yy, ny, yn, -y), teams every 3 (yy, ny, nn); the vote is right on yy only
    assert marks(graded["leader"][0]) == ("right",)
    assert marks(graded["leader"][1]) == ("right", "rescued")
    assert marks(graded["leader"][6]) == ("wrong", "talked out", "gave up a right draft")
    assert marks(graded["leader"][2]) == ("wrong", "gave up a right draft")
    assert marks(graded["untrained_leader"][0]) == ("wrong", "talked out", "no answer")
    assert marks(graded["leader_solo"][3]) == ("wrong", "no answer")
    assert marks(graded["leader_solo"][0]) == ("right",)  # nobody was rescued from a team there was not


def test_marks_count_what_metrics_count(graded: dict[str, list[Graded]], metrics: dict[str, Any]) -> None:
    for name in ("leader", "sft_leader", "untrained_leader", "majority_vote"):
        row, found = metrics["strategies"][name], [marks(g) for g in graded[name]]
        for mark, key in (("rescued", "rescued"), ("talked out", "talked_out_of_vote")):
            assert sum(mark in each for each in found) == round(row[key]["share"] * row[key]["n"]), (name, mark)
        assert sum("gave up a right draft" in m for m in found) == round(
            row["talked_out"]["share"] * row["talked_out"]["n"]
        )
        assert sum("no answer" in each for each in found) == round(row["invalid_rate"] * row["n"])


def test_cases_are_chosen_in_turns_and_no_more_than_there_are(graded: dict[str, list[Graded]]) -> None:
    chosen = [marks(g)[:2] for g in choose_cases(graded["leader"], 4)]
    assert chosen == [("right", "rescued"), ("wrong", "talked out"), ("wrong", "gave up a right draft"), ("right",)]
    everything = choose_cases(graded["leader"], 1000)
    assert sorted(g.problem.id for g in everything) == [g.problem.id for g in graded["leader"]]


def test_a_text_is_stored_once_however_many_heard_it(graded: dict[str, list[Graded]]) -> None:
    data = browser_data(graded)
    assert len(data["problems"]) == 24
    assert len(data["texts"]) == len(set(data["texts"]))
    # two agents say yes or no, the leader yes, no or nothing readable
    assert len(data["texts"]) == 2 * 2 + 3
    leader = next(one for one in data["strategies"] if one["name"] == "leader")
    problem, answer, marked, rounds, extra = leader["cases"][2]
    assert (problem, answer, marked, extra) == (2, "no", ["wrong", "gave up a right draft"], [])
    assert [(held[2], held[3]) for held in rounds] == [("yes", True), ("no", False)]
    first = data["texts"][rounds[0][0][0]]
    assert first == ("geo", (("", "no"),), "no", "stop", ())


def test_a_text_holds_what_was_looked_up_for_it_and_counts_it(graded: dict[str, list[Graded]]) -> None:
    first, *others = graded["leader"]
    notes = Passage("n" * 500)
    rounds = tuple(
        replace(r, proposals=tuple(replace(c, passages=(notes,)) for c in r.proposals)) for r in first.transcript.rounds
    )
    with_notes = replace(first, transcript=replace(first.transcript, rounds=rounds))
    data = browser_data({"leader": [with_notes, *others]}, max_characters=400)
    shown = data["texts"][data["strategies"][0]["cases"][0][3][0][0][0]]
    assert shown[4] == ("n" * 500,)
    assert len(data["problems"]) == 1  # more characters than the page may hold


def test_a_text_stands_under_its_agents_name_with_how_sure_it_was(graded: dict[str, list[Graded]]) -> None:
    first, *others = graded["leader"]
    rounds = tuple(
        replace(
            r,
            proposals=tuple(replace(c, entropy=0.5) for c in r.proposals),
            draft=r.draft and replace(r.draft, entropy=0.5),
        )
        for r in first.transcript.rounds
    )
    unsure = replace(first, transcript=replace(first.transcript, rounds=rounds))
    data = browser_data({"leader": [unsure, *others]})
    (proposal, *_), draft, *_ = data["strategies"][0]["cases"][0][3][0]
    assert data["texts"][proposal][0] == "geo (61 % sure)"
    assert data["texts"][draft][0] == "leader"


def test_what_does_not_fit_is_left_out_for_every_strategy(graded: dict[str, list[Graded]]) -> None:
    data = browser_data(graded, max_characters=1)
    assert len(data["problems"]) == 1
    assert {len(one["cases"]) for one in data["strategies"]} == {1}


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("<think>It is 5. Wait, geo: 6.</think><answer>6</answer>", ["think", "turn", "think", "answer"]),
        ("It is 5. Wait, no.", [""]),  # an agent's doubt is no leader's
        ("<think>cut", ["think"]),
        ("so <think>a</think> b <answer>c", ["", "think", "", "answer"]),
        ("", []),
    ],
)
def test_a_text_is_cut_into_thought_turn_and_answer_and_nothing_is_lost(text: str, kinds: list[str]) -> None:
    assert [kind for kind, _ in parts(text)] == kinds
    assert "".join(piece for _, piece in parts(text)) == text

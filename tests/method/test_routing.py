"""What the routers know is counted on problems that are no test problems."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlpo.method.rare_words import WordCounts
from mlpo.method.routing import NEVER, UNROUTED, Routing, choose_cut, family_table, fit_routing, most_on_topic
from mlpo.method.selection import ProposalSet
from mlpo.types import LEADER, Completion, Problem


def said(agent: str, text: str, problem_id: str = "p") -> Completion:
    return Completion(problem_id, agent, text, "stop", 10, 3)


def answered(number: int, family: str, **flags: str) -> ProposalSet:
    """Agent -> y or n a sample; the question's one rare word is its number."""
    problem = Problem(f"p{number}", "basics", family, f"What is w{number}?", "yes", "word")
    words = {"y": f"w{number} is yes", "n": f"w{number} is no", "Y": "that is yes", "N": "that is no"}
    proposals = {agent: tuple(said(agent, words[x], problem.id) for x in theirs) for agent, theirs in flags.items()}
    return ProposalSet(problem, proposals, {agent: tuple(x in "yY" for x in theirs) for agent, theirs in flags.items()})


WORDS = WordCounts(9, {"what": 9, "is": 9, "that": 9})
"""Every word of a question but its own is in all questions."""


def test_each_family_has_its_best_source() -> None:
    sets = [
        answered(1, "capital", geo="yy", math="nn"),
        answered(2, "capital", geo="ny", math="yn"),  # geo 3 of 4, math 1 of 4, alone 0 of 2
        answered(3, "product", geo="nn", math="yn"),  # geo 0, math 1 of 2, alone 1 of 1
    ]
    table = family_table(sets, {"p1": False, "p2": False, "p3": True})
    assert table.by_family == {"capital": "geo", "product": LEADER}
    assert table.overall == "geo"  # geo 3 of 6, math 2 of 6, alone 1 of 3


def test_ties_go_to_the_leader_alone_then_to_the_first_of_the_team() -> None:
    sets = [answered(1, "capital", b="y", a="y"), answered(2, "capital", b="n", a="n")]
    assert family_table(sets, {"p1": False, "p2": True}).overall == LEADER  # all 1 of 2
    assert family_table(sets, {"p1": False, "p2": False}).overall == "b"


def test_the_leader_counts_on_the_problems_that_are_known_of_it() -> None:
    sets = [answered(1, "capital", geo="y"), answered(2, "capital", geo="n")]
    assert family_table(sets, {"p2": True}).by_family == {"capital": LEADER}  # 1 of 1 against 1 of 2
    assert family_table(sets, {}).by_family == {"capital": "geo"}


def test_a_family_that_was_never_seen_goes_to_the_best_of_all() -> None:
    routing = Routing({"capital": "geo"}, "number", 0.5, WORDS)
    assert [routing.source(family) for family in ("capital", "plural")] == ["geo", "number"]


def test_the_proposal_that_speaks_of_the_question_is_on_topic() -> None:
    problem = Problem("p", "basics", "plural", "What is the plural of army?", "armies", "word")
    words = WordCounts.of(["What is the plural of artist?", "What is the plural of army?", "What is the plural of ox?"])
    elsewhere, right = said("a", "The plural of artist is artists."), said("b", "The plural of army is armies.")
    best = most_on_topic(problem, [elsewhere, right], words)
    assert best is not None
    # the one rare word of the question is "army": the right one has all of its rarity, the other none
    assert (best.proposal, best.share) == (right, 1.0)
    failed = Completion("p", "c", "", "error", 0, 0)
    assert most_on_topic(problem, [failed, elsewhere], words) == (elsewhere, 0.0)
    assert most_on_topic(problem, [right, said("d", right.text)], words) == (right, 1.0)  # of equals the first
    unsure, sure, surest = (
        replace(c, entropy=h) for c, h in ((right, 0.3), (said("d", right.text), 0.1), (elsewhere, 0.0))
    )
    assert most_on_topic(problem, [surest, unsure, sure], words) == (sure, 1.0)  # or the surest, where that is known


def test_what_holds_no_answer_is_on_no_topic() -> None:
    problem = Problem("p", "basics", "size", "How large is an army?", "9", "integer")
    counted, rambling = said("a", "9"), said("b", "An army is how large an army is.")
    assert most_on_topic(problem, [rambling, counted], WORDS) == (counted, 0.0)
    assert most_on_topic(problem, [rambling], WORDS) is None


def test_a_proposal_is_trusted_from_the_cut_on() -> None:
    problem = Problem("p", "basics", "plural", "army ox", "armies", "word")
    half = said("a", "army is armies")
    words = WordCounts(9, {})
    assert Routing({}, LEADER, 0.5, words).trusted(problem, [half]) == half
    assert Routing({}, LEADER, 0.51, words).trusted(problem, [half]) is None
    assert UNROUTED.trusted(problem, [said("a", "army ox: armies")]) is None


def test_the_cut_is_where_most_is_right() -> None:
    sets = [
        answered(1, "f", geo="y"),  # on topic and right, alone wrong: +1 from a cut of 1 down
        answered(2, "f", geo="N"),  # off topic and wrong, alone right: -1 from a cut of 0 down
    ]
    assert choose_cut(sets, {"p1": False, "p2": True}, WORDS, seed=0) == 1.0
    # off topic and right, alone wrong twice: 0 gains two more than 1
    sets += [answered(3, "f", geo="Y"), answered(4, "f", geo="Y")]
    assert choose_cut(sets, dict.fromkeys(("p1", "p3", "p4"), False) | {"p2": True}, WORDS, seed=0) == 0.0


def test_of_equal_cuts_the_one_that_asks_less_of_the_team() -> None:
    gains_nothing = [answered(1, "f", geo="y")]
    assert choose_cut(gains_nothing, {"p1": True}, WORDS, seed=0) == NEVER
    even = [answered(1, "f", geo="y"), answered(2, "f", geo="N"), answered(3, "f", geo="Y")]
    # at 1: +1; at 0: -1 and +1 more, which is the same
    assert choose_cut(even, {"p1": False, "p2": True, "p3": False}, WORDS, seed=0) == 1.0


def test_samples_of_one_index_make_a_team() -> None:
    # sample 0: geo is on topic and wrong; sample 1: math is on topic and right; alone is right: -1 and 0
    sets = [answered(1, "f", geo="nN", math="Ny")]
    assert choose_cut(sets, {"p1": True}, WORDS, seed=0) == NEVER
    assert choose_cut(sets, {"p1": False}, WORDS, seed=0) == 1.0  # 0 and +1


def test_a_cut_needs_to_know_the_leader_alone() -> None:
    with pytest.raises(ValueError, match=r"1 lack it: \['p2'\]"):
        choose_cut([answered(1, "f", geo="y"), answered(2, "f", geo="y")], {"p1": True}, WORDS, seed=0)
    with pytest.raises(ValueError, match="at least one problem"):
        family_table([], {})


def test_all_is_counted_at_once_and_words_on_training_questions_alone() -> None:
    train, calibration = [answered(1, "capital", geo="y")], [answered(2, "plural", geo="n")]
    routing = fit_routing(train, calibration, {"p2": True}, seed=0)
    assert routing.by_family == {"capital": "geo", "plural": LEADER}
    assert routing.cut == NEVER
    assert routing.words == WordCounts.of(["What is w1?"])

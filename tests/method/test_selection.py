"""What a leader trains on: the easy filter and the tuples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpo.method.selection import (
    ProposalSet,
    ProposalTuple,
    best_agent,
    count_by_correct,
    draw_tuples,
    easy_filter,
    failure_weights,
)
from mlpo.method.strategies.leader_rounds import order_of
from mlpo.types import Completion, Problem

NAMES = ("geo", "language", "number")


def proposal_set(
    index: int = 0, *, flags: Mapping[str, list[bool]], texts: Mapping[str, Sequence[str]] | None = None
) -> ProposalSet:
    """Proposals of one problem: flags by agent, and texts that all differ unless given."""
    problem = Problem(f"p{index}", "basics", "sum", f"{index}?", "r", "word")
    texts = texts or {name: [f"{name}{i}" for i in range(len(agent))] for name, agent in flags.items()}
    made = {n: tuple(Completion(problem.id, n, t, "stop", 1, 1, i) for i, t in enumerate(a)) for n, a in texts.items()}
    return ProposalSet(problem, made, {name: tuple(agent) for name, agent in flags.items()})


def with_share(num_correct: int, index: int) -> ProposalSet:
    """12 proposals, so many correct."""
    flags = [i < num_correct for i in range(12)]
    return proposal_set(index, flags={n: flags[4 * k : 4 * k + 4] for k, n in enumerate(NAMES)})


def test_three_quarters_correct_is_easy():
    # 9 of 12 = 0.75 is easy, 8 of 12 is hard
    filtered = easy_filter(
        [with_share(9, 0), with_share(8, 1), with_share(12, 2)], threshold=0.75, easy_share=0.0, seed=0
    )
    assert [s.problem.id for s in filtered.kept] == ["p1"]
    assert filtered[1:] == (3, 1, 2, 0)  # problems, hard, easy, easy kept


def test_a_decimal_threshold_is_exact():
    # 9 of 10 correct at threshold 0.9: the float 0.9 is a little more than 9/10
    flags = {"geo": [True] * 9 + [False]}
    assert easy_filter([proposal_set(flags=flags)], threshold=0.9, easy_share=0.0, seed=0).num_easy == 1


def test_easy_problems_are_kept_as_a_share_of_the_hard_ones():
    sets = [with_share(0, i) for i in range(10)] + [with_share(12, i) for i in range(10, 40)]
    filtered = easy_filter(sets, threshold=0.75, easy_share=0.2, seed=0)  # 0.2 * 10 hard = 2
    assert (filtered.num_hard, filtered.num_easy, filtered.num_easy_kept, len(filtered.kept)) == (10, 30, 2, 12)
    assert [s.problem.id for s in filtered.kept] == sorted(
        (s.problem.id for s in filtered.kept), key=lambda i: int(i[1:])
    )
    assert easy_filter(sets, threshold=0.75, easy_share=9.0, seed=0).num_easy_kept == 30  # no more than there are
    chosen = {
        tuple(s.problem.id for s in easy_filter(sets, threshold=0.75, easy_share=0.2, seed=i).kept) for i in range(5)
    }
    assert len(chosen) > 1
    assert easy_filter(sets, threshold=0.75, easy_share=0.2, seed=0) == filtered


def test_the_choice_of_easy_problems_does_not_depend_on_their_order():
    sets = [with_share(0, i) for i in range(10)] + [with_share(12, i) for i in range(10, 40)]
    there = easy_filter(sets, threshold=0.75, easy_share=0.2, seed=0).kept
    back = easy_filter(sets[::-1], threshold=0.75, easy_share=0.2, seed=0).kept
    assert {s.problem.id for s in there} == {s.problem.id for s in back}


def test_a_problem_without_proposals_is_hard():
    assert easy_filter([proposal_set(flags={})], threshold=0.75, easy_share=0.0, seed=0).num_hard == 1


def test_all_wrong_mixed_and_all_right_teams_are_drawn_where_they_exist():
    # one right of four for each agent: all-right has 1 of 64 tuples, which 4 blind draws would nearly always miss
    rare = proposal_set(flags={n: [True, False, False, False] for n in NAMES})
    for seed in range(20):
        drawn = draw_tuples(rare, 4, seed)
        assert {0, 3} < {t.num_correct for t in drawn}
        assert {t.num_correct for t in drawn} & {1, 2}
        assert draw_tuples(rare, 1, seed)[0].num_correct in (1, 2)  # room for one: a mixed one


@pytest.mark.parametrize("surest", NAMES)
def test_the_surest_stands_first_and_keeps_its_flag(surest: str):
    asked = proposal_set(flags={name: [name == surest] for name in NAMES})
    unsure = {n: tuple(replace(c, entropy=0.1 + (n != surest)) for c in made) for n, made in asked.proposals.items()}
    [drawn] = draw_tuples(replace(asked, proposals=unsure), 4, 0)
    assert (drawn.proposals[0].model, drawn.correct) == (surest, (True, False, False))
    assert [c.model for c in drawn.proposals[1:]] == [n for n in order_of("p0", NAMES, 0) if n != surest]


def test_what_does_not_exist_is_not_drawn():
    wrong = proposal_set(flags={n: [False, False] for n in NAMES})
    assert {t.num_correct for t in draw_tuples(wrong, 8, 0)} == {0}
    split = proposal_set(flags={"geo": [True, True], "language": [False, False]})
    assert {t.num_correct for t in draw_tuples(split, 4, 0)} == {1}


def test_tuples_differ_in_text_and_fewer_come_back_when_texts_repeat():
    # geo says two things, the others one each: two different tuples, although there are 4 * 4 * 4 index choices
    texts = {"geo": "rrww", "language": "wwww", "number": "rrrr"}
    same = proposal_set(texts=texts, flags={name: [text == "r" for text in agent] for name, agent in texts.items()})
    drawn = draw_tuples(same, 4, 0)
    assert sorted(t.num_correct for t in drawn) == [1, 2]


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.lists(st.booleans(), min_size=1, max_size=4), min_size=1),
    st.integers(1, 12),
    st.integers(0, 9),
)
def test_every_tuple_holds_one_proposal_per_agent_and_none_comes_twice(
    flags: dict[str, list[bool]], num: int, seed: int
):
    proposals = proposal_set(flags=flags)
    drawn = draw_tuples(proposals, num, seed)
    possible = 1
    for agent in flags.values():
        possible *= len(agent)
    assert len(drawn) == min(num, possible)
    assert len({tuple(c.text for c in t.proposals) for t in drawn}) == len(drawn)
    for chosen in drawn:
        assert tuple(c.model for c in chosen.proposals) == order_of("p0", tuple(flags), seed)
        assert chosen.correct == tuple(flags[c.model][c.sample] for c in chosen.proposals)
        assert chosen.num_correct == sum(chosen.correct)
    assert draw_tuples(proposals, num, seed) == drawn


def test_many_agents_are_drawn_from_without_looking_at_all_combinations():
    many = proposal_set(flags={f"a{i}": [True, False, False, False] for i in range(40)})  # 4**40 tuples
    drawn = draw_tuples(many, 6, 0)
    assert len(drawn) == 6
    assert {0, 40} < {t.num_correct for t in drawn}


def test_an_agent_without_proposals_is_an_error():
    with pytest.raises(ValueError, match="agent geo needs proposals"):
        draw_tuples(proposal_set(flags={"geo": []}), 1, 0)


def test_tuples_are_counted_by_correct_proposals():
    assert count_by_correct([ProposalTuple((), (True, True, False)[:n]) for n in (2, 0, 3)]) == {0: 1, 2: 2}


def test_the_best_agent_has_the_most_correct_proposals():
    sets = [
        proposal_set(0, flags={"geo": [True, False], "language": [True, True]}),
        proposal_set(1, flags={"geo": [True, True], "language": [False, True]}),
    ]
    assert best_agent(sets[:1]) == "language"
    assert best_agent(sets) == "geo"  # 3 each: the first in the team's order
    with pytest.raises(ValueError, match="at least one problem"):
        best_agent([])


@pytest.mark.parametrize(("f", "expected"), [(0.0, [1, 1, 1]), (0.5, [1, 0.75, 0.5]), (1.0, [1, 0.5, 0])])
def test_a_problem_weighs_what_the_leader_alone_fails_and_a_kept_share(f: float, expected: list[float]) -> None:
    assert list(failure_weights({"a": 0.0, "b": 0.5, "c": 1.0}, f).values()) == expected


def test_problems_that_all_weigh_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="right everywhere"):
        failure_weights({"a": 1.0, "b": 1.0}, 1.0)
    assert failure_weights({}, 1.0) == {}

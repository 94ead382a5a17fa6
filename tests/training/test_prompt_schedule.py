"""The plan: evenly spread, deterministic, and complete."""

from __future__ import annotations

from collections import Counter

import pytest

from mlpo.method.selection import ProposalTuple
from mlpo.training.prompt_schedule import Teams, TrainingPrompt, plan_prompts
from mlpo.types import Completion, Problem


def problem(number: int) -> Problem:
    return Problem(f"p{number}", "basics", "sum", f"{number}?", str(number), "integer")


def tuples(number: int, num: int = 3, agents: str = "xy") -> list[ProposalTuple]:
    return [
        ProposalTuple(
            tuple(Completion(f"p{number}", a, f"{a}{k}", "stop", 1, 1, k) for a in agents),
            tuple(place < k % 3 for place in range(len(agents))),
        )
        for k in range(num)
    ]


PROBLEMS = [(problem(n), tuples(n)) for n in range(5)]


def test_every_pass_meets_every_problem_once_in_a_new_order() -> None:
    plan = plan_prompts(PROBLEMS, 10, seed=0)
    first, second = ([p.problem.id for p in half] for half in (plan[:5], plan[5:]))
    assert sorted(first) == sorted(second) == ["p0", "p1", "p2", "p3", "p4"]
    assert first != second


def test_a_problem_shows_all_its_tuples_before_one_comes_again() -> None:
    seen = Counter((p.problem.id, p.tuple_name) for p in plan_prompts(PROBLEMS, 15, seed=0))
    assert set(seen.values()) == {1}
    assert len(seen) == 15


@pytest.mark.parametrize(("share", "per_eight"), [(0.0, 0), (0.25, 2), (0.5, 4), (1.0, 8)])
def test_each_step_of_eight_has_the_same_number_of_solo_prompts(share: float, per_eight: int) -> None:
    plan = plan_prompts(PROBLEMS, 40, seed=0, solo_share=share)
    assert [sum(not p.proposals for p in plan[i : i + 8]) for i in range(0, 40, 8)] == [per_eight] * 5


def test_a_share_is_met_although_it_is_not_exact() -> None:
    # 100 * 0.29 is 28.999999999999996: the 29th must be neither lost nor counted twice
    for num, solo in ((100, 29), (200, 58)):
        assert sum(not p.proposals for p in plan_prompts(PROBLEMS, num, seed=0, solo_share=0.29)) == solo


def test_refreshed_prompts_are_a_share_of_those_with_a_team() -> None:
    plan = plan_prompts(PROBLEMS, 40, seed=0, solo_share=0.5, refresh_share=0.25)
    assert sum(p.refresh for p in plan) == 5  # a quarter of 20
    assert all(p.proposals for p in plan if p.refresh)


def test_without_a_team_every_prompt_is_solo_and_needs_no_tuple() -> None:
    plan = plan_prompts([(problem(1), ())], 3, seed=0, use_team=False)
    assert [p.tuple_name for p in plan] == ["solo"] * 3
    assert [p.num_correct for p in plan] == [None] * 3


def test_the_seed_alone_decides() -> None:
    assert (
        plan_prompts(PROBLEMS, 20, seed=1) == plan_prompts(PROBLEMS, 20, seed=1) != plan_prompts(PROBLEMS, 20, seed=2)
    )


def test_a_prompt_shows_its_proposals_in_order_or_the_problem_alone() -> None:
    with_team = TrainingPrompt(*PROBLEMS[0][:1], tuples(0)[1].proposals)
    assert with_team.tuple_name == "x:1 y:1"
    assert with_team.messages[-1].content.index("x1") < with_team.messages[-1].content.index("y1")
    assert TrainingPrompt(problem(0)).messages[-1].content == "0?"


def test_what_cannot_be_planned_is_refused() -> None:
    with pytest.raises(ValueError, match="no training problems"):
        plan_prompts([], 1, seed=0)
    with pytest.raises(ValueError, match="p1 has no tuple"):
        plan_prompts([(problem(1), ())], 1, seed=0)
    assert plan_prompts([], 0, seed=0) == []


FOUR = [(problem(n), tuples(n, agents="wxyz")) for n in range(5)]


def test_teams_of_random_size_hold_one_to_all_agents_each_number_as_often() -> None:
    plan = plan_prompts(FOUR, 80, seed=0, teams=Teams(sizes="random"))
    for first in range(0, 80, 4):
        assert sorted(len(p.proposals) for p in plan[first : first + 4]) == [1, 2, 3, 4]
    assert {p.proposals[0].model for p in plan if len(p.proposals) == 1} == set("wxyz")
    assert len({tuple(c.model for c in p.proposals) for p in plan}) == 15  # every subset but the empty one
    for p in plan:
        names = [c.model for c in p.proposals]
        assert names == sorted(names)  # who is left stands as before
        assert p.num_correct == sum(c.model in "wxyz"[: c.sample % 3] for c in p.proposals)


def test_the_empty_team_is_the_solo_shares() -> None:
    plan = plan_prompts(FOUR, 80, seed=0, solo_share=0.25, teams=Teams(sizes="random"))
    assert Counter(len(p.proposals) for p in plan) == {0: 20, 1: 15, 2: 15, 3: 15, 4: 15}


def test_a_shuffled_order_is_another_for_the_same_tuple_and_moves_its_flags_along() -> None:
    plan = plan_prompts(FOUR, 200, seed=0, teams=Teams(shuffle_order=True))
    assert len({tuple(c.model for c in p.proposals) for p in plan}) == 24  # 4!
    whole = plan_prompts(FOUR, 200, seed=0)
    assert [sorted(p.tuple_name.split()) for p in plan] == [p.tuple_name.split() for p in whole]
    assert [p.num_correct for p in plan] == [p.num_correct for p in whole]


def test_a_hostile_agent_speaks_in_a_share_of_the_teams_under_another_agents_name() -> None:
    teams = Teams(hostile_share=0.25, claim=lambda problem: f"not {problem.target}")
    plan = plan_prompts(FOUR, 80, seed=0, solo_share=0.5, teams=teams)
    hostile = [p for p in plan if p.hostile]
    assert len(hostile) == 10  # a quarter of 40
    assert {p.hostile for p in hostile} == set("wxyz")
    whole = plan_prompts(FOUR, 80, seed=0, solo_share=0.5)
    for changed, before in zip(plan, whole, strict=True):
        told = [c.text for c in changed.proposals]
        assert told.count(f"not {changed.problem.target}") == bool(changed.hostile)
        if not changed.hostile:
            assert changed == before
            continue
        assert f"{changed.hostile}:hostile" in changed.tuple_name
        was_right = changed.hostile in "wxyz"[: changed.proposals[0].sample % 3]
        assert changed.num_correct == (before.num_correct or 0) - was_right


def test_refreshed_prompts_hold_no_hostile_proposal() -> None:
    teams = Teams(hostile_share=0.5, claim=lambda problem: "no")
    plan = plan_prompts(FOUR, 40, seed=0, refresh_share=0.5, teams=teams)
    assert sum(p.refresh for p in plan) == 20
    assert sum(bool(p.hostile) for p in plan) == 10
    assert not [p for p in plan if p.refresh and p.hostile]


def test_a_hostile_agent_without_a_claim_is_refused() -> None:
    with pytest.raises(ValueError, match="no claim"):
        plan_prompts(FOUR, 4, seed=0, teams=Teams(hostile_share=1.0))


def test_weights_say_how_often_a_problem_is_met_with_its_team_and_solo_prompts_are_not_weighed() -> None:
    weights = {"p0": 0.0, "p1": 0.1, "p2": 0.2, "p3": 0.2, "p4": 0.4}
    plan = plan_prompts(PROBLEMS, 500, seed=0, solo_share=0.1, weights=weights)
    with_team = Counter(p.problem.id for p in plan if p.proposals)
    assert with_team.total() == 450
    for name, weight in weights.items():
        assert abs(with_team[name] - 450 * weight / 0.9) <= 1
    assert Counter(p.problem.id for p in plan if not p.proposals) == {f"p{n}": 10 for n in range(5)}


def test_equal_weights_meet_every_problem_once_a_pass() -> None:
    plan = plan_prompts(PROBLEMS, 20, seed=0, weights={f"p{n}": 0.3 for n in range(5)})
    for first in range(0, 20, 5):
        assert {p.problem.id for p in plan[first : first + 5]} == {f"p{n}" for n in range(5)}

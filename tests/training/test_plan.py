"""The plan: evenly spread, deterministic, and complete."""

from __future__ import annotations

from collections import Counter

import pytest

from mlpo.method.selection import ProposalTuple
from mlpo.training.plan import TrainingPrompt, plan_prompts
from mlpo.types import Completion, Problem


def problem(number: int) -> Problem:
    return Problem(f"p{number}", "basics", "sum", f"{number}?", str(number), "integer")


def tuples(number: int, num: int = 3) -> list[ProposalTuple]:
    return [
        ProposalTuple(tuple(Completion(f"p{number}", a, f"{a}{k}", "stop", 1, 1, k) for a in ("x", "y")), k % 3)
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

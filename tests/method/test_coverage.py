"""What a subset of a team can be right about at most."""

from __future__ import annotations

import pytest

from mlpo.method.coverage import coverage_of_subsets
from mlpo.method.selection import ProposalSet
from mlpo.types import Completion, Problem


def answered(number: int, **flags: tuple[bool, ...]) -> ProposalSet:
    problem = Problem(f"p{number}", "basics", "sum", f"{number}?", str(number), "integer")
    said = {a: tuple(Completion(problem.id, a, "", "stop", 1, 1, k) for k in range(len(f))) for a, f in flags.items()}
    return ProposalSet(problem, said, flags)


# a is right on 0 and 1, b on 1 and 2, c on 1 alone; nobody on 3
ONCE = [
    answered(0, a=(True,), b=(False,), c=(False,)),
    answered(1, a=(True,), b=(True,), c=(True,)),
    answered(2, a=(False,), b=(True,), c=(False,)),
    answered(3, a=(False,), b=(False,), c=(False,)),
]


def test_every_subset_is_there_the_best_of_each_size_first() -> None:
    found = coverage_of_subsets(ONCE, confidence=0.95, seed=0)
    assert [("".join(each.agents), each.any_right) for each in found] == [
        ("a", 0.5), ("b", 0.5), ("c", 0.25),
        ("ab", 0.75), ("ac", 0.5), ("bc", 0.5),
        ("abc", 0.75),
    ]  # fmt: skip


def test_an_agent_that_adds_nothing_costs_nothing_to_leave_out() -> None:
    lost = {"".join(each.agents): each.without_others for each in coverage_of_subsets(ONCE, confidence=0.95, seed=0)}
    assert lost["ab"].difference == 0
    assert tuple(lost["ab"].interval) == (0, 0)
    assert lost["ac"].difference == -0.25
    assert lost["ac"].interval.low < lost["ac"].interval.high <= 0


def test_of_several_proposals_one_is_drawn() -> None:
    # 1 - (1 - 1/2)(1 - 3/4) = 0.875 on the first, 0 on the second
    sets = [answered(0, a=(True, False), b=(True, True, True, False)), answered(1, a=(False,) * 2, b=(False,) * 4)]
    assert [each.any_right for each in coverage_of_subsets(sets, confidence=0.95, seed=0)] == [0.375, 0.25, 0.4375]


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 problems"):
        coverage_of_subsets(ONCE[:1], confidence=0.95, seed=0)
    with pytest.raises(ValueError, match="needs a proposal to every problem"):
        coverage_of_subsets([answered(0, a=()), answered(1, a=())], confidence=0.95, seed=0)
    many = [answered(n, **{f"agent{k}": (True,) for k in range(13)}) for n in range(2)]
    with pytest.raises(ValueError, match="13 agents"):
        coverage_of_subsets(many, confidence=0.95, seed=0)
    with pytest.raises(ValueError, match="at least 2 problems"):
        coverage_of_subsets([], confidence=0.95, seed=0)

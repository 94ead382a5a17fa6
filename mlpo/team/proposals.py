"""The team's finished proposals, graded: training is made of those on training problems, choices of the others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlpo.config import ConfigError
from mlpo.layout import TRAIN_PROBLEMS, proposals_of
from mlpo.method.answers import Equivalent, agent_answer, is_correct
from mlpo.method.selection import ProposalSet
from mlpo.store import read_jsonl
from mlpo.types import Completion, Problem


def read_proposal_sets(
    agents: Sequence[str], *, split: Path = TRAIN_PROBLEMS, equivalent: Equivalent | None = None
) -> list[ProposalSet]:
    """Every problem of a split with each agent's proposals, in the problems' order.

    Args:
        split: TRAIN_PROBLEMS, with M proposals of each agent; or CALIBRATION_PROBLEMS, with one.
    Raises:
        ConfigError: a file is missing, or an agent's holds more proposals for one problem than for another.
    """
    problems = list(read_jsonl(split, Problem))
    wanted = {problem.id for problem in problems}
    found: dict[str, defaultdict[str, list[Completion]]] = {agent: defaultdict(list) for agent in agents}
    for agent in agents:
        for completion in read_jsonl(proposals_of(agent), Completion):
            if completion.problem_id in wanted:
                found[agent][completion.problem_id].append(completion)
    _check_complete(found, problems, split)
    return [_graded(p, {agent: tuple(found[agent][p.id]) for agent in agents}, equivalent) for p in problems]


def _check_complete(
    found: Mapping[str, Mapping[str, Sequence[Completion]]], problems: Sequence[Problem], split: Path
) -> None:
    for agent, theirs in found.items():
        num_samples = max(map(len, theirs.values()), default=1)
        for problem in problems:
            if len(theirs[problem.id]) != num_samples:
                raise ConfigError(
                    f"{proposals_of(agent)}: {len(theirs[problem.id])} proposals for problem {problem.id} of "
                    f"{split}, {num_samples} for others; run `mlpo propose {agent}`"
                )


def _graded(
    problem: Problem, proposals: Mapping[str, tuple[Completion, ...]], equivalent: Equivalent | None
) -> ProposalSet:
    correct = {
        agent: tuple(is_correct(agent_answer(c, problem), problem, equivalent=equivalent) for c in completions)
        for agent, completions in proposals.items()
    }
    return ProposalSet(problem, proposals, correct)

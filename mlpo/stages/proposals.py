"""The team's finished proposals on training problems, graded: what demonstrations and training are made of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from mlpo.config import ConfigError
from mlpo.layout import TRAIN_PROBLEMS, proposals_of
from mlpo.method.answers import agent_answer, is_correct
from mlpo.method.selection import ProposalSet
from mlpo.store import read_jsonl
from mlpo.types import Completion, Problem


def read_proposal_sets(
    agents: Sequence[str], num_samples: int, *, equivalent: Callable[[str, str], bool] | None = None
) -> list[ProposalSet]:
    """Every training problem with each agent's first `num_samples` proposals, in the problems' order.

    Raises:
        ConfigError: an agent's file is missing or lacks proposals for a problem.
    """
    problems = list(read_jsonl(TRAIN_PROBLEMS, Problem))
    wanted = {problem.id for problem in problems}
    found: defaultdict[str, dict[str, list[Completion]]] = defaultdict(dict)
    for agent in agents:
        for completion in read_jsonl(proposals_of(agent), Completion):
            if completion.problem_id in wanted and completion.sample < num_samples:
                found[completion.problem_id].setdefault(agent, []).append(completion)
    return [_graded(problem, found[problem.id], agents, num_samples, equivalent) for problem in problems]


def _graded(
    problem: Problem,
    proposals: dict[str, list[Completion]],
    agents: Sequence[str],
    num_samples: int,
    equivalent: Callable[[str, str], bool] | None,
) -> ProposalSet:
    for agent in agents:
        if len(proposals.get(agent, ())) != num_samples:
            raise ConfigError(
                f"{proposals_of(agent)}: {len(proposals.get(agent, ()))} proposals for training problem {problem.id}, "
                f"propose.samples asks for {num_samples}; run `mlpo propose {agent}`"
            )
    return ProposalSet(
        problem,
        {agent: tuple(proposals[agent]) for agent in agents},
        {
            agent: tuple(is_correct(agent_answer(c, problem), problem, equivalent=equivalent) for c in proposals[agent])
            for agent in agents
        },
    )

"""The rivals that train nothing: an agent, a vote, the leader alone, self-consistency; and the oracle above them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence

from mlpo.method.answers import Equivalent, agent_answer, is_correct, leader_answer
from mlpo.method.prompts import AgentPrompt, solo_messages
from mlpo.method.seeds import derive_seed
from mlpo.method.strategies.leader_rounds import agent_request, leader_request
from mlpo.method.strategies.messages import in_order
from mlpo.types import Completion, Message, Problem, Round, Sampling, StrategyRun, Transcript

ORACLE = "oracle_any"
"""An upper bound on any choice among the proposals: it looks at the target."""


def vote(answers: Sequence[str | None]) -> str | None:
    """The most frequent answer; None never votes; of equals the one that comes first, so shuffle by seed before."""
    counts = Counter(answer for answer in answers if answer is not None)
    return counts.most_common(1)[0][0] if counts else None  # Counter keeps the order of first sight among equals


def voted(proposals: Sequence[Completion], problem: Problem) -> Round:
    """A round without a leader: its answer is the vote over the proposals."""
    return Round(tuple(proposals), None, vote([agent_answer(c, problem) for c in proposals]))


def single_agent(problem: Problem, *, agent: AgentPrompt, sampling: Sampling, seed: int) -> StrategyRun:
    """One agent answers alone."""
    proposals = yield [agent_request(problem, agent, sampling, seed)]
    answer = agent_answer(proposals[0], problem)
    return Transcript(problem.id, f"single:{agent.name}", (Round(tuple(proposals), None, answer),), answer)


def majority_vote(
    problem: Problem, *, team: Sequence[AgentPrompt], sampling: Mapping[str, Sampling], seed: int
) -> StrategyRun:
    """Every agent answers once; the most frequent answer wins, a tie goes to the agent first in `order_of`.

    Raises:
        ValueError: no agents, or two of one name.
    """
    proposals = yield [agent_request(problem, a, sampling[a.name], seed) for a in in_order(problem, team, seed)]
    held = voted(proposals, problem)
    return Transcript(problem.id, "majority_vote", (held,), held.answer)


def weighted_vote(
    problem: Problem, *, team: Sequence[AgentPrompt], sampling: Mapping[str, Sampling], seed: int
) -> StrategyRun:
    """A vote in which a voice counts as much as its agent is sure (ReConcile, arXiv:2309.13007); ties as in a vote.

    Raises:
        ValueError: no agents, or two of one name.
    """
    proposals = yield [agent_request(problem, a, sampling[a.name], seed) for a in in_order(problem, team, seed)]
    weights: dict[str, float] = {}
    for proposal in proposals:
        if (answer := agent_answer(proposal, problem)) is not None:
            weights[answer] = weights.get(answer, 0.0) + (proposal.certainty or 0.0)
    answer = max(weights, key=weights.__getitem__, default=None)
    return Transcript(problem.id, "weighted_vote", (Round(tuple(proposals), None, answer),), answer)


def solo_leader(
    problem: Problem,
    *,
    leader_sampling: Sampling,
    seed: int,
    examples: tuple[Message, ...] = (),
    lenient: bool = False,
    name: str = "leader_solo",
) -> StrategyRun:
    """The leader answers without a team: one generation."""
    drafts = yield [leader_request(problem, solo_messages(problem), leader_sampling, seed, examples=examples)]
    answer, was_lenient = leader_answer(drafts[0], problem, lenient=lenient)
    return Transcript(problem.id, name, (Round((), drafts[0], answer),), answer, lenient=was_lenient)


def self_consistency(
    problem: Problem,
    *,
    num_samples: int,
    leader_sampling: Sampling,
    seed: int,
    examples: tuple[Message, ...] = (),
    lenient: bool = False,
    name: str = "self_consistency",
) -> StrategyRun:
    """The leader answers alone `num_samples` times and its most frequent answer wins (arXiv:2203.11171).

    Ties go by a shuffle of the samples. Samples differ only at a temperature above 0.

    Raises:
        ValueError: fewer than one sample.
    """
    if num_samples < 1:
        raise ValueError(f"{name}: needs at least 1 sample, got {num_samples}")
    messages = solo_messages(problem)
    samples = yield [
        leader_request(problem, messages, leader_sampling, seed, sample=i, examples=examples)
        for i in range(num_samples)
    ]
    return most_consistent(samples, problem, seed=seed, lenient=lenient, name=name)


def most_consistent(
    samples: Sequence[Completion], problem: Problem, *, seed: int, lenient: bool, name: str
) -> Transcript:
    """The transcript of a vote over samples of one leader."""
    readings = [leader_answer(c, problem, lenient=lenient) for c in samples]
    random.Random(derive_seed(seed, "self_consistency", problem.id)).shuffle(readings)
    answer = vote([reading.answer for reading in readings])
    was_lenient = any(r.lenient for r in readings if r.answer == answer)
    return Transcript(problem.id, name, (), answer, lenient=was_lenient, extra=tuple(samples))


def oracle_any(voted: Transcript, problem: Problem, *, equivalent: Equivalent | None = None) -> Transcript:
    """What a perfect chooser among the first proposals of `voted` would answer: a right one if any agent gave one."""
    answers = [agent_answer(c, problem) for c in voted.rounds[0].proposals]
    right = next((a for a in answers if is_correct(a, problem, equivalent=equivalent)), None)
    answer = right if right is not None else vote(answers)
    return Transcript(problem.id, ORACLE, (Round(voted.rounds[0].proposals, None, answer),), answer)

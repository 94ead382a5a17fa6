"""Routers: a rule chooses who answers, an agent or the leader alone; no leader reads a proposal.

    router_by_family    the source that was best on the problem's family                     1 generation
    router_by_overlap   the proposal that repeats most of the question's rarer words, else   K generations
                        the leader alone                                                     K + 1
    surest_agent        the proposal that its agent is surest of                             K generations
    router_by_score     the agent whose best passage scores highest                          1 generation

The leader alone is asked as in `solo_leader`. The first three see what a leader sees (`mlpo/method/routing.py`). The
last is a yardstick, since it looks into every agent's private documents before anyone is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence

from mlpo.method.answers import agent_answer, leader_answer
from mlpo.method.prompts import AgentPrompt, solo_messages
from mlpo.method.routing import Routing
from mlpo.method.strategies.leader_rounds import agent_request, leader_request
from mlpo.method.strategies.messages import in_order
from mlpo.types import LEADER, Completion, Problem, Request, Round, Sampling, StrategyRun, Transcript

Score = Callable[[str], float]
"""A question -> how well an agent's best passage fits it; 0 if it has none."""


def router_by_family(
    problem: Problem,
    *,
    routing: Routing,
    team: Sequence[AgentPrompt],
    sampling: Mapping[str, Sampling],
    leader_sampling: Sampling,
    seed: int,
) -> StrategyRun:
    """The table's source for the problem's family answers.

    Raises:
        ValueError: the table names an agent that the team does not have.
    """
    asked = _asked(problem, routing.source(problem.family), team, sampling, leader_sampling, seed)
    answered = yield from asked
    return Transcript(problem.id, "router_by_family", (answered,), answered.answer)


def router_by_overlap(
    problem: Problem,
    *,
    routing: Routing,
    team: Sequence[AgentPrompt],
    sampling: Mapping[str, Sampling],
    leader_sampling: Sampling,
    seed: int,
) -> StrategyRun:
    """All propose; the proposal that speaks most of the question answers, or the leader alone if none does enough.

    Raises:
        ValueError: no agents, or two of one name.
    """
    name = "router_by_overlap"
    proposals = yield [agent_request(problem, a, sampling[a.name], seed) for a in in_order(problem, team, seed)]
    trusted = routing.trusted(problem, proposals)
    if trusted is not None:
        answer = agent_answer(trusted, problem)
        return Transcript(problem.id, name, (Round(tuple(proposals), None, answer),), answer)
    alone = yield from _alone(problem, leader_sampling, seed)
    return Transcript(problem.id, name, (Round(tuple(proposals), alone.draft, alone.answer),), alone.answer)


def surest_agent(
    problem: Problem, *, team: Sequence[AgentPrompt], sampling: Mapping[str, Sampling], seed: int
) -> StrategyRun:
    """All propose; of the proposals with an answer the one whose agent is surest answers, of equals the first.

    An agent that does not tell how sure it is counts as least sure. Sureness of different models is compared as it is.

    Raises:
        ValueError: no agents, or two of one name.
    """
    proposals = yield [agent_request(problem, a, sampling[a.name], seed) for a in in_order(problem, team, seed)]
    answering = [c for c in proposals if agent_answer(c, problem) is not None]
    surest = max(answering, key=lambda c: c.certainty or 0.0, default=None)
    answer = None if surest is None else agent_answer(surest, problem)
    return Transcript(problem.id, "surest_agent", (Round(tuple(proposals), None, answer),), answer)


def router_by_score(
    problem: Problem,
    *,
    scores: Mapping[str, Score],
    team: Sequence[AgentPrompt],
    sampling: Mapping[str, Sampling],
    leader_sampling: Sampling,
    seed: int,
) -> StrategyRun:
    """The agent whose best passage scores highest answers; the leader alone where no passage shares a word.

    Scores of indexes of different size are compared as they are. Of equals the one first in `order_of` is asked.

    Args:
        scores: of the agents that have documents, by name.
    Raises:
        ValueError: no agents, or two of one name.
    """
    names = [agent.name for agent in in_order(problem, team, seed) if agent.name in scores]
    found = {name: scores[name](problem.question) for name in names}
    best = max(found, key=found.__getitem__, default=LEADER)
    source = best if found.get(best, 0.0) > 0 else LEADER
    answered = yield from _asked(problem, source, team, sampling, leader_sampling, seed)
    return Transcript(problem.id, "router_by_score", (answered,), answered.answer)


def _asked(
    problem: Problem,
    source: str,
    team: Sequence[AgentPrompt],
    sampling: Mapping[str, Sampling],
    leader_sampling: Sampling,
    seed: int,
) -> Generator[list[Request], list[Completion], Round]:
    """One source answers, as it answers first in every strategy."""
    if source == LEADER:
        return (yield from _alone(problem, leader_sampling, seed))
    agents = {agent.name: agent for agent in team}
    if source not in agents:
        raise ValueError(f"the table of sources names {source}, but the team is {', '.join(agents)}; count it again")
    proposals = yield [agent_request(problem, agents[source], sampling[source], seed)]
    return Round(tuple(proposals), None, agent_answer(proposals[0], problem))


def _alone(problem: Problem, leader_sampling: Sampling, seed: int) -> Generator[list[Request], list[Completion], Round]:
    """The leader answers without a team."""
    drafts = yield [leader_request(problem, solo_messages(problem), leader_sampling, seed)]
    return Round((), drafts[0], leader_answer(drafts[0], problem).answer)

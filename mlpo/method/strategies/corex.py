"""Corex: three ways for models to check each other: discuss, review, retrieve.

Sun et al., "Corex: Pushing the Boundaries of Complex Reasoning through Multi-Model Collaboration" (arXiv:2310.00280).
There all models are of one kind; here the team plays, and the untrained leader is judge and retriever.

    discuss   two camps talk among themselves for R rounds; a judge decides if they end apart     K * R + 1 generations
    review    one agent answers, each other one reads all that was said and answers anew          K
    retrieve  everybody answers, a retriever scores every answer, the best score wins             2 * K
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from mlpo.method.answers import agent_answer, leader_answer
from mlpo.method.prompts import AgentPrompt, leader_messages
from mlpo.method.seeds import derive_seed
from mlpo.method.selection import ProposalSet
from mlpo.method.strategies.baselines import vote, voted
from mlpo.method.strategies.leader_rounds import agent_request, leader_request
from mlpo.method.strategies.messages import answered_then_told, block, in_order, named, told, turn_request
from mlpo.types import Completion, Message, Problem, Request, Round, Sampling, StrategyRun, Transcript

CAMPS = ("blue", "green")
SCORE_SYSTEM = "You check a proposed answer. Reply with one number from 0 (wrong) to 1 (right)."
_SCORE = re.compile(r"(?<![\w.,/-])(?:0?\.\d+|0|1(?:\.0+)?)(?![\w%]|[.,]\d|/(?!1\b))")


def corex_discuss(
    problem: Problem,
    *,
    team: Sequence[AgentPrompt],
    sampling: Mapping[str, Sampling],
    leader_sampling: Sampling,
    num_rounds: int,
    seed: int,
    examples: tuple[Message, ...] = (),
    lenient: bool = False,
    name: str = "corex_discuss",
) -> StrategyRun:
    """The team in `order_of` is dealt into two camps; the judge reads what each camp stood for in every round.

    Camps that end with the same answer need no judge: K * R generations then.

    Raises:
        ValueError: fewer than two agents, two of one name, or no rounds.
    """
    if num_rounds < 1:
        raise ValueError(f"{name}: needs at least 1 round, got {num_rounds}")
    ordered = in_order(problem, team, seed, at_least=2)
    camp_of = {agent.name: CAMPS[i % 2] for i, agent in enumerate(ordered)}
    proposals = yield [agent_request(problem, agent, sampling[agent.name], seed) for agent in ordered]
    rounds = [tuple(proposals)]
    for t in range(1, num_rounds):
        requests = [_talk(problem, a, rounds[-1], camp_of, sampling[a.name], seed, t) for a in ordered]
        proposals = yield requests
        rounds.append(tuple(proposals))
    held = [voted(each, problem) for each in rounds]
    ends = [_stand(rounds[-1], camp, camp_of, problem)[1] for camp in CAMPS]
    if ends[0] is not None and ends[0] == ends[1]:
        return Transcript(problem.id, name, (*held[:-1], replace(held[-1], answer=ends[0])), ends[0])
    stands = [
        replace(_stand(each, camp, camp_of, problem)[0], model=f"{camp} {t + 1}")
        for t, each in enumerate(rounds)
        for camp in CAMPS
    ]
    messages = leader_messages(problem, stands)
    drafts = yield [
        leader_request(problem, messages, leader_sampling, seed, round_index=num_rounds - 1, examples=examples)
    ]
    reading = leader_answer(drafts[0], problem, lenient=lenient)
    held[-1] = replace(held[-1], draft=drafts[0], answer=reading.answer)
    return Transcript(problem.id, name, tuple(held), reading.answer, lenient=reading.lenient)


def corex_review(
    problem: Problem,
    *,
    team: Sequence[AgentPrompt],
    sampling: Mapping[str, Sampling],
    seed: int,
    name: str = "corex_review",
) -> StrategyRun:
    """A chain in `order_of` the problem: the last answer that can be read counts.

    Raises:
        ValueError: fewer than two agents, or two of one name.
    """
    first, *reviewers = in_order(problem, team, seed, at_least=2)
    chain = yield [agent_request(problem, first, sampling[first.name], seed)]
    answer = agent_answer(chain[0], problem)
    rounds = [Round((chain[0],), None, answer)]
    for t, agent in enumerate(reviewers, start=1):
        said = f"Check these answers, then give the right one.\n{named(r.proposals[0] for r in rounds)}"
        reply = yield [
            turn_request(problem, agent, told(problem, agent, said), sampling[agent.name], seed, round_index=t)
        ]
        answer = agent_answer(reply[0], problem) or answer
        rounds.append(Round((reply[0],), None, answer))
    return Transcript(problem.id, name, tuple(rounds), answer)


def corex_retrieve(
    problem: Problem,
    *,
    team: Sequence[AgentPrompt],
    sampling: Mapping[str, Sampling],
    leader_sampling: Sampling,
    seed: int,
    examples: tuple[Message, ...] = (),
    name: str = "corex_retrieve",
) -> StrategyRun:
    """The leader scores each proposal on its own; an unreadable score is 0, a tie goes to the first in `order_of`.

    Raises:
        ValueError: no agents, or two of one name.
    """
    ordered = in_order(problem, team, seed)
    proposals = yield [agent_request(problem, agent, sampling[agent.name], seed) for agent in ordered]
    scores = yield [
        leader_request(problem, _score_messages(problem, c), leader_sampling, seed, sample=i, examples=examples)
        for i, c in enumerate(proposals)
    ]
    answers = [agent_answer(proposal, problem) for proposal in proposals]
    readable = [i for i, answer in enumerate(answers) if answer is not None]
    best = max(readable, key=lambda i: read_score(scores[i]), default=None)  # max keeps the first of equals
    answer = None if best is None else answers[best]
    return Transcript(problem.id, name, (Round(tuple(proposals), None, answer),), answer, extra=tuple(scores))


def score_examples(sets: Sequence[ProposalSet], num: int, seed: int) -> tuple[Message, ...]:
    """Training proposals with their scores, a right one (1) and a wrong one (0) in turn, each of another problem.

    A model that was never told answers the question instead of scoring.

    Args:
        sets: proposals on training problems.
    """
    turns: list[Message] = []
    for each in sorted(sets, key=lambda s: derive_seed(seed, "score_examples", s.problem.id)):
        wanted = len(turns) % 4 == 0  # two turns an example: every second one is right
        scored = [pair for a in each.proposals for pair in zip(each.proposals[a], each.correct[a], strict=True)]
        shown = next((c for c, right in scored if right == wanted), None)
        if shown is not None and len(turns) < 2 * num:
            turns += [_score_messages(each.problem, shown)[-1], Message("assistant", "1" if wanted else "0")]
    return tuple(turns)


def read_score(completion: Completion) -> float:
    """The first number from 0 to 1 in a text; 0 if there is none, or the text failed or was cut off."""
    found = _SCORE.search(completion.text) if completion.finish_reason == "stop" else None
    return float(found[0]) if found else 0.0


def _talk(
    problem: Problem,
    agent: AgentPrompt,
    last: Sequence[Completion],
    camp_of: Mapping[str, str],
    sampling: Sampling,
    seed: int,
    t: int,
) -> Request:
    """An agent hears the other members of its own camp; one that is alone in it thinks again."""
    [own] = [c.text for c in last if c.model == agent.name]
    mates = [c for c in last if c.model != agent.name and camp_of[c.model] == camp_of[agent.name]]
    said = f"Your camp says:\n{named(mates)}" if mates else "Check your answer."
    messages = answered_then_told(problem, agent, own, said)
    return turn_request(problem, agent, messages, sampling, seed, round_index=t)


def _stand(
    proposals: Sequence[Completion], camp: str, camp_of: Mapping[str, str], problem: Problem
) -> tuple[Completion, str | None]:
    """What a camp stands for: its vote, and the first text that says so."""
    members = [(c, agent_answer(c, problem)) for c in proposals if camp_of[c.model] == camp]
    answer = vote([a for _, a in members])
    return next(c for c, a in members if a == answer), answer


def _score_messages(problem: Problem, proposal: Completion) -> tuple[Message, ...]:
    shown = f"{problem.question}\n{block([('proposed', proposal.text)])}\nScore from 0 to 1:"
    return (Message("system", SCORE_SYSTEM), Message("user", shown))

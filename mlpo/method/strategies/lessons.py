"""Lessons: agents answer, each writes a one-line lesson, and a bank of k lessons goes into the next round.

    round 0:  s_k ~ agent_k(x)                                    k = 1..K
    lessons:  l_k ~ agent_k(x, its own s_k, how many of the team agree)
    round t:  s_k ~ agent_k(x, its own last s_k, the bank's lessons)
    answer =  vote(s_1..s_K of the last round)

K * (2 * R - 1) generations. After LessonL, "Lessons Learned: A Multi-Agent Framework for Code LLMs to Learn and
Improve" (arXiv:2505.23946). There a lesson is kept by the speed-up it brought; a reasoning answer has no such measure
without the target, so here it is kept by how many agents gave its author's answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mlpo.method.answers import agent_answer
from mlpo.method.prompts import AgentPrompt, agent_messages, quote
from mlpo.method.strategies.baselines import voted
from mlpo.method.strategies.leader_rounds import agent_request
from mlpo.method.strategies.messages import answered_then_told, in_order, turn_request
from mlpo.types import Completion, Message, Problem, Request, Sampling, StrategyRun, Transcript

MAX_CHARACTERS = 200
"""A lesson is one line; a longer one is cut."""


class Lesson(NamedTuple):
    """One line, and what speaks for it."""

    text: str
    support: int
    """Agents that gave its author's answer, the author among them; 0 if the author gave none."""
    round_index: int


def lessons(
    problem: Problem,
    *,
    team: Sequence[AgentPrompt],
    sampling: Mapping[str, Sampling],
    num_rounds: int,
    max_lessons: int,
    seed: int,
    name: str = "lessons",
) -> StrategyRun:
    """`num_rounds` rounds of answers with lessons between them; the lessons' completions are the transcript's `extra`.

    Raises:
        ValueError: no agents, two of one name, no rounds, or no place for a lesson.
    """
    if num_rounds < 1 or max_lessons < 1:
        raise ValueError(f"{name}: needs at least 1 round and 1 lesson, got {num_rounds} and {max_lessons}")
    ordered = in_order(problem, team, seed)
    bank: list[Lesson] = []
    written: list[Completion] = []
    proposals = yield [agent_request(problem, agent, sampling[agent.name], seed) for agent in ordered]
    rounds = [voted(proposals, problem)]
    for t in range(1, num_rounds):
        support = _support(rounds[-1].proposals, problem)
        replies = yield [
            _ask_lesson(problem, a, c.text, s, len(ordered), sampling[a.name], seed, t)
            for a, c, s in zip(ordered, rounds[-1].proposals, support, strict=True)
        ]
        written += replies
        found = [Lesson(_line(c), s, t) for c, s in zip(replies, support, strict=True) if _line(c)]
        bank = best_lessons([*bank, *found], max_lessons)
        said = "\n".join(["Lessons of the team:", *(f"- {lesson.text}" for lesson in bank)]) if bank else "Try again."
        proposals = yield [
            turn_request(
                problem, a, answered_then_told(problem, a, c.text, said), sampling[a.name], seed, round_index=t
            )
            for a, c in zip(ordered, rounds[-1].proposals, strict=True)
        ]
        rounds.append(voted(proposals, problem))
    return Transcript(problem.id, name, tuple(rounds), rounds[-1].answer, extra=tuple(written))


def best_lessons(found: Sequence[Lesson], number: int) -> list[Lesson]:
    """The bank: different lessons only, those with most support first, of equals the newest."""
    ranked = sorted(found, key=lambda lesson: (-lesson.support, -lesson.round_index))
    different = {lesson.text.lower(): lesson for lesson in reversed(ranked)}
    return [lesson for lesson in ranked if different[lesson.text.lower()] is lesson][:number]


def _ask_lesson(
    problem: Problem, agent: AgentPrompt, own: str, support: int, size: int, sampling: Sampling, seed: int, t: int
) -> Request:
    """The wish for a lesson comes last, where the question stands otherwise; its seed is that of sample 1."""
    wish = (
        f"{max(support - 1, 0)} of {size - 1} others agree with you. "
        "In one line: what should the team remember about such questions?"
    )
    own_turn = Message("assistant", quote(own) or "I do not know.")
    messages = (*agent_messages(agent, problem), own_turn, Message("user", wish))
    return turn_request(problem, agent, messages, sampling, seed, round_index=t, sample=1)


def _support(proposals: Sequence[Completion], problem: Problem) -> list[int]:
    answers = [agent_answer(c, problem) for c in proposals]
    return [0 if answer is None else answers.count(answer) for answer in answers]


def _line(completion: Completion) -> str:
    """The lesson in a completion: its first line, quoted and cut; a failed one has none."""
    lines = quote(completion.text).splitlines() if completion.finish_reason != "error" else []
    return lines[0][:MAX_CHARACTERS] if lines else ""

"""A leader that asks its team only when unsure, and again only when still unsure; its surest answer is given.

    o_0 ~ leader(x)                                          alone; no question is asked if P(o_0 right) >= ask_below
    o_t ~ leader(x, s_1..s_K)                                round t = 1..T of strategies/leader_rounds.py, each while
                                                             P(o_t-1 right) < again_below
    answer = that of the o_t with the highest P(right), of equals the latest

One by one, the agents of round 1 are asked one after another until P(right) of a draft that would read s_1..s_k is at
least again_below, or all have been asked; then the leader drafts, once.

P(right) is read from the leader's own text where it answers alone, and from how sure the surest agent is where it has
read proposals (`mlpo.method.consult_policy`). Selective querying is future work in arXiv:2507.08960; cascades that ask
a costlier model when a cheap one is unsure: arXiv:2404.10136, arXiv:2605.18796.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from mlpo.method.answers import Reading, leader_answer
from mlpo.method.consult_curve import surest
from mlpo.method.consult_policy import ConsultPolicy, least_doubt, measuring, signal_of
from mlpo.method.prompts import solo_messages
from mlpo.method.strategies.leader_rounds import Heard, RoundRules, draft, draft_requests, propose, settled
from mlpo.types import Completion, Message, Problem, Request, Round, StrategyRun, Transcript

When = Literal["always", "unsure", "never"]
"""When the leader asks its team at all; "always" makes no answer alone first."""
KeepAsking = Literal["always", "while_unsure"]
"""When it asks again after a round."""


class _Made(NamedTuple):
    """One answer, and how sure it is."""

    reading: Reading
    confidence: float


@dataclass(slots=True)
class _Course:
    """What the leader has made of a problem so far."""

    problem: Problem
    rules: RoundRules
    judge: ConsultPolicy
    rounds: list[Round] = field(default_factory=list)
    extra: list[Completion] = field(default_factory=list)
    made: list[_Made] = field(default_factory=list)

    def take(
        self, attempt: int, answered: Round, reading: Reading, samples: Sequence[Completion], *, first: bool = False
    ) -> float:
        """Note an answer, and return how sure it is."""
        judged, lenient = self.judge, self.rules.lenient
        if 1 <= attempt <= len(judged.partial):
            signal = least_doubt(answered.proposals)
        else:
            signal = signal_of(judged.signal, answered, samples, self.problem, first=first, lenient=lenient)
        self.rounds.append(answered)
        self.extra.extend(samples)
        self.made.append(_Made(reading, self.judge.confidence(attempt, reading.answer, signal)))
        return self.made[-1].confidence

    def transcript(self, name: str, given: int = -1) -> Transcript:
        """With the answer of that place."""
        answer, was_lenient = self.made[given].reading
        rounds, extra = tuple(self.rounds), tuple(self.extra)
        return Transcript(self.problem.id, name, rounds, answer, lenient=was_lenient, extra=extra)


def consult(
    problem: Problem,
    *,
    rules: RoundRules,
    policy: ConsultPolicy | None = None,
    when: When = "unsure",
    keep_asking: KeepAsking = "always",
    one_by_one: bool = False,
    solo_examples: tuple[Message, ...] = (),
    name: str = "consult",
) -> StrategyRun:
    """From 1 generation to (K + 1) * T + 1; where the signal is agreement, the further samples of each answer too.

    The answer alone is the transcript's first round, without proposals; further samples stand in `extra`, in the order
    of the rounds. Without a choice to make, `when` "never" is `solo_leader`, and "always" with `keep_asking` "always"
    is `leader_rounds`: no policy is read and the last answer is given.

    Raises:
        ValueError: no policy where one is needed, or agents are to be asked one by one where nothing depends on doubt.
    """
    selective = when == "unsure" or (when == "always" and keep_asking == "while_unsure")
    if selective and policy is None:
        raise ValueError(f"{name}: a leader that asks only when unsure needs a policy that says when it is")
    if one_by_one and not selective:
        raise ValueError(f"{name}: agents are asked one by one only by a leader that stops where it is sure")
    judge = policy if policy is not None and selective else measuring()
    course = _Course(problem, replace(rules, num_samples=judge.num_samples), judge)
    asks = when == "always"
    if not asks:
        sure = yield from _alone(course, solo_examples)
        asks = when == "unsure" and sure < judge.ask_below
    heard, exchanges, team = Heard(), list[Round](), rules.ordered(problem)
    for t in range(rules.num_rounds if asks else 0):
        if one_by_one and t == 0:
            proposals = yield from _until_sure(course)
        else:
            proposals = yield from propose(problem, course.rules, heard, t, team)
        stopped = len(proposals) < len(team)
        played, reading, samples, heard = yield from draft(problem, course.rules, heard, t, proposals)
        attempt = len(proposals) if stopped else len(judge.partial) + 1 + t
        sure = course.take(attempt, played, reading, samples, first=t == 0)
        exchanges.append(played)
        if stopped or (keep_asking == "while_unsure" and sure >= judge.again_below):
            break
        if rules.early_stop and settled(exchanges, problem):
            break
    given = surest((m.reading.answer is not None, m.confidence) for m in course.made) if selective else -1
    return course.transcript(name, given)


def every_answer(
    problem: Problem, *, rules: RoundRules, solo_examples: tuple[Message, ...] = (), name: str = "consult"
) -> StrategyRun:
    """All answers that a leader may give that asks its agents one by one, to replay any thresholds on them.

    The transcript has the answer alone, then a round for each agent of the first round, with its proposal and the draft
    that read it and those before, then the further rounds.
    """
    course = _Course(problem, rules, measuring())
    yield from _alone(course, solo_examples)
    heard, team = Heard(), rules.ordered(problem)
    proposals: tuple[Completion, ...] = ()
    for agent in team:
        added = yield from propose(problem, rules, Heard(), 0, [agent])
        proposals = (*proposals, *added)
        played, reading, samples, heard = yield from draft(problem, rules, Heard(), 0, proposals)
        course.take(0, replace(played, proposals=added), reading, samples)
    for t in range(1, rules.num_rounds):
        proposals = yield from propose(problem, rules, heard, t, team)
        played, reading, samples, heard = yield from draft(problem, rules, heard, t, proposals)
        course.take(0, played, reading, samples)
    return course.transcript(name)


def _alone(course: _Course, examples: tuple[Message, ...]) -> Generator[list[Request], list[Completion], float]:
    """The answer alone; how sure it is."""
    problem, rules = course.problem, course.rules
    answered, *samples = yield draft_requests(problem, solo_messages(problem), rules, examples=examples)
    reading = leader_answer(answered, problem, lenient=rules.lenient)
    return course.take(0, Round((), answered, reading.answer), reading, samples)


def _until_sure(course: _Course) -> Generator[list[Request], list[Completion], tuple[Completion, ...]]:
    """Proposals of one agent after another, to the one after whom a draft would be sure enough."""
    proposals: tuple[Completion, ...] = ()
    for agent in course.rules.ordered(course.problem):
        added = yield from propose(course.problem, course.rules, Heard(), 0, [agent])
        proposals = (*proposals, *added)
        if course.judge.confidence(len(proposals), "", least_doubt(proposals)) >= course.judge.again_below:
            break
    return proposals

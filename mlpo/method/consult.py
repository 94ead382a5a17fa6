"""A leader that asks its team only when unsure, and again only when still unsure; its surest answer is given.

    o_0 ~ leader(x)                                          alone; no question is asked if P(o_0 right) >= ask_below
    o_t ~ leader(x, s_1..s_K)                                round t = 1..T of `mlpo.method.rounds`, each while
                                                             P(o_t-1 right) < again_below
    answer = that of the o_t with the highest P(right), of equals the latest

One by one, the agents of round 1 are asked one after another, and the leader drafts after each, while

    o_1k ~ leader(x, s_1..s_k)                               P(o_1k-1 right) < again_below, k = 1..K

P(right) is read from the leader's own completions (`mlpo.method.confidence`). Selective querying is future work in
arXiv:2507.08960; cascades that ask a costlier model when a cheap one is unsure: arXiv:2404.10136, arXiv:2605.18796.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from mlpo.method.answers import Reading, leader_answer
from mlpo.method.confidence import ConfidenceMap, Signal, agreement
from mlpo.method.consult_curve import ALWAYS, surest
from mlpo.method.prompts import solo_messages
from mlpo.method.rounds import Heard, RoundRules, draft_requests, one_round, settled
from mlpo.types import Completion, Message, Problem, Request, Round, StrategyRun, Transcript

When = Literal["always", "unsure", "never"]
"""When the leader asks its team at all; "always" makes no answer alone first."""
KeepAsking = Literal["always", "while_unsure"]
"""When it asks again after a round."""


@dataclass(frozen=True, slots=True)
class ConsultPolicy:
    """When a leader is unsure: maps from what its completions show to P(right), and thresholds below which it asks."""

    signal: Signal
    alone: ConfidenceMap
    first: ConfidenceMap
    """Of the draft of round 1."""
    later: ConfidenceMap
    """Of the drafts of rounds after it."""
    ask_below: float
    """P(right) of the answer alone below which the team is asked."""
    again_below: float
    """P(right) of a draft below which it is asked again, or the next agent is."""
    partial: tuple[ConfidenceMap, ...] = ()
    """Of drafts that read 1, 2, ... but not all agents' proposals; empty where all are asked together."""
    num_samples: int = 0
    """Further samples of each answer, where the signal is their agreement."""
    basis: Mapping[str, Any] = field(default_factory=dict)
    """What maps and thresholds were measured on, and what they gave there."""

    @property
    def maps(self) -> Mapping[str, ConfidenceMap]:
        """By what was answered, in the order in which answers are made; the last is that of all further ones."""
        maps = (self.alone, *self.partial, self.first, self.later)
        return dict(zip(attempt_names(len(self.partial)), maps, strict=True))

    def confidence(self, attempt: int, answer: str | None, signal: float | None) -> float:
        """P(right) of the answer alone (attempt 0) or of draft `attempt`; 0 without an answer or a signal."""
        if answer is None or signal is None:
            return 0.0
        maps = (self.alone, *self.partial, self.first, self.later)
        return maps[min(attempt, len(maps) - 1)](signal)

    def to_json(self) -> dict[str, Any]:
        """The policy as a JSON document."""
        return {
            "signal": self.signal,
            "num_samples": self.num_samples,
            "ask_below": self.ask_below,
            "again_below": self.again_below,
            "maps": {name: getattr(self, name).to_json() for name in ("alone", "first", "later")},
            "partial": [each.to_json() for each in self.partial],
            "basis": dict(self.basis),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ConsultPolicy:
        """The policy of a JSON document.

        Raises:
            ValueError: it is none; the message says what is missing or wrong.
        """
        try:
            if document["signal"] not in ("entropy", "agreement"):
                raise ValueError(f"signal {document['signal']!r} is neither entropy nor agreement")
            maps = {name: ConfidenceMap.from_json(document["maps"][name]) for name in ("alone", "first", "later")}
            return cls(
                document["signal"],
                **maps,
                ask_below=float(document["ask_below"]),
                again_below=float(document["again_below"]),
                partial=tuple(map(ConfidenceMap.from_json, document.get("partial", ()))),
                num_samples=int(document["num_samples"]),
                basis=document["basis"],
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a policy for asking the team: {type(error).__name__} {error}") from None


def attempt_names(num_partial: int) -> tuple[str, ...]:
    """What a leader's answers are called, in the order in which it makes them: "alone", "1 agent", "first", "later"."""
    partial = (f"{n} agent{'s' if n > 1 else ''}" for n in range(1, num_partial + 1))
    return ("alone", *partial, "first", "later")


def measuring(num_samples: int = 0) -> ConsultPolicy:
    """Never sure: the leader answers alone, all rounds are played, and a real policy can be measured on what comes."""
    nothing = ConfidenceMap(((0.0, 0.0),))
    signal: Signal = "agreement" if num_samples else "entropy"
    return ConsultPolicy(signal, nothing, nothing, nothing, ALWAYS, ALWAYS, num_samples=num_samples)


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
    attempt: int
    """The number of the next answer: 0 of that alone."""
    rounds: list[Round] = field(default_factory=list)
    extra: list[Completion] = field(default_factory=list)
    made: list[_Made] = field(default_factory=list)

    def take(self, answered: Round, reading: Reading, samples: Sequence[Completion]) -> float:
        """Note an answer, and return how sure it is."""
        signal = signal_of(self.judge.signal, answered, samples, self.problem, lenient=self.rules.lenient)
        self.rounds.append(answered)
        self.extra.extend(samples)
        self.made.append(_Made(reading, self.judge.confidence(self.attempt, reading.answer, signal)))
        self.attempt += 1
        return self.made[-1].confidence


class _Asked(NamedTuple):
    """A round of agents who were asked together or one by one, and how sure its last draft is."""

    whole: Round
    heard: Heard
    confidence: float


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
    of the rounds. One by one, each agent of the first round has a round of its own in the transcript, with its proposal
    and the draft that read it and those before: K - 1 generations more at most. Without a choice to make, `when`
    "never" is `solo_leader`, and "always" with `keep_asking` "always" is `leader_rounds`: no policy is read and the
    last answer is given.

    Raises:
        ValueError: no policy where one is needed, or agents are to be asked one by one where nothing depends on doubt.
    """
    selective = when == "unsure" or (when == "always" and keep_asking == "while_unsure")
    if selective and policy is None:
        raise ValueError(f"{name}: a leader that asks only when unsure needs a policy that says when it is")
    if one_by_one and not selective:
        raise ValueError(f"{name}: agents are asked one by one only by a leader that stops where it is sure")
    judge = policy if policy is not None and selective else measuring()
    course = _Course(problem, replace(rules, num_samples=judge.num_samples), judge, int(when == "always"))
    asks = when == "always"
    if not asks:
        draft, *further = yield draft_requests(problem, solo_messages(problem), course.rules, examples=solo_examples)
        alone = leader_answer(draft, problem, lenient=rules.lenient)
        sure = course.take(Round((), draft, alone.answer), alone, further)
        asks = when == "unsure" and sure < judge.ask_below
    heard, exchanges = Heard(), list[Round]()
    for t in range(rules.num_rounds if asks else 0):
        whole, heard, sure = yield from _ask(course, heard, t, one_by_one=one_by_one and t == 0)
        exchanges.append(whole)
        if keep_asking == "while_unsure" and sure >= judge.again_below:
            break
        if rules.early_stop and settled(exchanges, problem):
            break
    given = surest((m.reading.answer is not None, m.confidence) for m in course.made) if selective else -1
    answer, was_lenient = course.made[given].reading
    rounds, extra = tuple(course.rounds), tuple(course.extra)
    return Transcript(problem.id, name, rounds, answer, lenient=was_lenient, extra=extra)


def _ask(
    course: _Course, heard: Heard, round_index: int, *, one_by_one: bool
) -> Generator[list[Request], list[Completion], _Asked]:
    """A round; one by one it ends with the agent after whom the leader is sure enough."""
    team = course.rules.ordered(course.problem)
    proposals: tuple[Completion, ...] = ()
    for agents in [[agent] for agent in team] if one_by_one else [team]:
        answered, reading, samples, told = yield from one_round(
            course.problem, course.rules, heard, round_index, agents=agents, beside=proposals
        )
        proposals = (*proposals, *answered.proposals)
        sure = course.take(answered, reading, samples)
        if sure >= course.judge.again_below:
            break
    return _Asked(replace(answered, proposals=proposals), told, sure)


def signal_of(
    signal: Signal, answered: Round, samples: Sequence[Completion], problem: Problem, *, lenient: bool = False
) -> float | None:
    """What a round's draft shows of its leader's doubt; None where its model does not tell."""
    if signal == "agreement":
        others = [leader_answer(sample, problem, lenient=lenient).answer for sample in samples]
        return agreement([answered.answer, *others]) if others else None
    return answered.draft.entropy if answered.draft is not None else None

"""A leader that asks its team only when unsure, and again only when still unsure; its surest answer is given.

    o_0 ~ leader(x)                                          alone; no question is asked if P(o_0 right) >= ask_below
    o_t ~ leader(x, s_1..s_K)                                round t = 1..T of `mlpo.method.rounds`, each while
                                                             P(o_t-1 right) < again_below
    answer = that of the o_t with the highest P(right), of equals the latest

P(right) is read from the leader's own completions (`mlpo.method.confidence`). Selective querying is future work in
arXiv:2507.08960; cascades that ask a costlier model when a cheap one is unsure: arXiv:2404.10136, arXiv:2605.18796.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from mlpo.method.answers import Reading, leader_answer
from mlpo.method.confidence import ConfidenceMap, Signal, agreement
from mlpo.method.consult_curve import ALWAYS, surest
from mlpo.method.prompts import solo_messages
from mlpo.method.rounds import Heard, RoundRules, draft_requests, one_round, settled
from mlpo.types import Completion, Message, Problem, Round, StrategyRun, Transcript

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
    """P(right) of a draft below which it is asked again."""
    num_samples: int = 0
    """Further samples of each answer, where the signal is their agreement."""
    basis: Mapping[str, Any] = field(default_factory=dict)
    """What maps and thresholds were measured on, and what they gave there."""

    def confidence(self, attempt: int, answer: str | None, signal: float | None) -> float:
        """P(right) of the answer alone (attempt 0) or after round `attempt`; 0 without an answer or a signal."""
        if answer is None or signal is None:
            return 0.0
        return (self.alone, self.first, self.later)[min(attempt, 2)](signal)

    def to_json(self) -> dict[str, Any]:
        """The policy as a JSON document."""
        return {
            "signal": self.signal,
            "num_samples": self.num_samples,
            "ask_below": self.ask_below,
            "again_below": self.again_below,
            "maps": {name: getattr(self, name).to_json() for name in ("alone", "first", "later")},
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
                num_samples=int(document["num_samples"]),
                basis=document["basis"],
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a policy for asking the team: {type(error).__name__} {error}") from None


def measuring(num_samples: int = 0) -> ConsultPolicy:
    """Never sure: the leader answers alone, all rounds are played, and a real policy can be measured on what comes."""
    nothing = ConfidenceMap(((0.0, 0.0),))
    signal: Signal = "agreement" if num_samples else "entropy"
    return ConsultPolicy(signal, nothing, nothing, nothing, ALWAYS, ALWAYS, num_samples)


class _Made(NamedTuple):
    """One answer, and how sure it is."""

    reading: Reading
    confidence: float


def consult(
    problem: Problem,
    *,
    rules: RoundRules,
    policy: ConsultPolicy | None = None,
    when: When = "unsure",
    keep_asking: KeepAsking = "always",
    solo_examples: tuple[Message, ...] = (),
    name: str = "consult",
) -> StrategyRun:
    """From 1 generation to (K + 1) * T + 1; where the signal is agreement, the further samples of each answer too.

    The answer alone is the transcript's first round, without proposals; further samples stand in `extra`, in the order
    of the rounds. Without a choice to make, `when` "never" is `solo_leader`, and "always" with `keep_asking` "always"
    is `leader_rounds`: no policy is read and the last answer is given.

    Raises:
        ValueError: no policy where one is needed.
    """
    selective = when == "unsure" or (when == "always" and keep_asking == "while_unsure")
    if selective and policy is None:
        raise ValueError(f"{name}: a leader that asks only when unsure needs a policy that says when it is")
    judge = policy if policy is not None and selective else measuring()
    rules = replace(rules, num_samples=judge.num_samples)
    rounds: list[Round] = []
    extra: list[Completion] = []
    made: list[_Made] = []

    def take(attempt: int, answered: Round, reading: Reading, samples: Sequence[Completion]) -> float:
        signal = signal_of(judge.signal, answered, samples, problem, lenient=rules.lenient)
        rounds.append(answered)
        extra.extend(samples)
        made.append(_Made(reading, judge.confidence(attempt, reading.answer, signal)))
        return made[-1].confidence

    asks = when == "always"
    if not asks:
        draft, *further = yield draft_requests(problem, solo_messages(problem), rules, examples=solo_examples)
        alone = leader_answer(draft, problem, lenient=rules.lenient)
        sure = take(0, Round((), draft, alone.answer), alone, further)
        asks = when == "unsure" and sure < judge.ask_below
    heard = Heard()
    for t in range(rules.num_rounds if asks else 0):
        played, reading, samples, heard = yield from one_round(problem, rules, heard, t)
        sure = take(t + 1, played, reading, samples)
        if keep_asking == "while_unsure" and sure >= judge.again_below:
            break
        if rules.early_stop and settled([each for each in rounds if each.proposals], problem):
            break
    given = surest((m.reading.answer is not None, m.confidence) for m in made) if selective else -1
    answer, was_lenient = made[given].reading
    return Transcript(problem.id, name, tuple(rounds), answer, lenient=was_lenient, extra=tuple(extra))


def signal_of(
    signal: Signal, answered: Round, samples: Sequence[Completion], problem: Problem, *, lenient: bool = False
) -> float | None:
    """What a round's draft shows of its leader's doubt; None where its model does not tell."""
    if signal == "agreement":
        others = [leader_answer(sample, problem, lenient=lenient).answer for sample in samples]
        return agreement([answered.answer, *others]) if others else None
    return answered.draft.entropy if answered.draft is not None else None

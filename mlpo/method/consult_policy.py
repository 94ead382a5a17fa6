"""When a leader is unsure: what its doubt is read from, the maps from that to P(right), and the thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlpo.method.answers import leader_answer
from mlpo.method.confidence import ConfidenceMap, Signal, agreement
from mlpo.method.consult_curve import ALWAYS
from mlpo.types import Completion, Problem, Round


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


def least_doubt(proposals: Sequence[Completion]) -> float | None:
    """The entropy of the surest proposal; None where no agent tells how sure it is.

    It says more of whether a draft that read them is right than the draft's own: a leader that follows a guess is as
    sure as one that follows who knows.
    """
    return min((p.entropy for p in proposals if p.entropy is not None), default=None)


def signal_of(
    signal: Signal,
    answered: Round,
    samples: Sequence[Completion],
    problem: Problem,
    *,
    first: bool = False,
    lenient: bool = False,
) -> float | None:
    """What a round shows of how doubtful its answer is; None where its models do not tell.

    Args:
        samples: further ones of its draft.
        first: whether the agents have heard no draft yet; later an agent that repeats itself is sure.
    """
    if signal == "agreement":
        others = [leader_answer(sample, problem, lenient=lenient).answer for sample in samples]
        return agreement([answered.answer, *others]) if others else None
    told = least_doubt(answered.proposals) if first else None
    if told is not None:
        return told
    return answered.draft.entropy if answered.draft is not None else None

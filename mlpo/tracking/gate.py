"""The gate to `champion`: a challenger must beat the champion, problem by problem, on the very same problems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlpo.config import EvaluateConfig, RegisterConfig, digest
from mlpo.method.metrics.evaluation import Interval, paired_difference


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How a leader with its team did on every test problem."""

    scores: Mapping[str, bool]
    """By problem id: was its answer right?"""
    invalid_rate: float
    """Share of problems without an answer."""
    prompt_tokens: float
    """A problem, of team and leader together; so are `completion_tokens`."""
    completion_tokens: float

    @classmethod
    def of(cls, scores: Mapping[str, bool], row: Mapping[str, Any]) -> Evaluation:
        """From the scores and the leader's row in metrics.json."""
        return cls(scores, row["invalid_rate"], row["prompt_tokens"], row["completion_tokens"])

    @property
    def problems(self) -> str:
        """What the evaluation set is: the digest of its problem ids, which are content hashes themselves."""
        return digest(sorted(self.scores))

    @property
    def accuracy(self) -> float:
        """Share of problems answered right."""
        return sum(self.scores.values()) / len(self.scores)

    @property
    def tokens(self) -> float:
        """Tokens a problem, prompt and completion."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class Comparison:
    """Challenger and champion on one evaluation set: each figure, and what was asked of it."""

    problems: str
    num_problems: int
    accuracy: float
    champion_accuracy: float
    improvement: float
    """Challenger minus champion, paired by problem."""
    interval: Interval
    min_improvement: float
    """The interval must lie above this."""
    invalid_rate: float
    champion_invalid_rate: float
    max_invalid_rate: float
    tokens: float
    """A problem, prompt and completion, of team and leader together."""
    champion_tokens: float
    max_tokens: float

    @property
    def found(self) -> str:
        """The improvement in words."""
        low, high = self.interval
        return f"{self.improvement:+.3f} [{low:+.3f}, {high:+.3f}] over the champion on {self.num_problems} problems"

    @property
    def refusals(self) -> list[str]:
        """What the challenger lacks."""
        lacks = []
        if not self.interval.low > self.min_improvement:
            lacks.append(f"the lower bound must exceed {self.min_improvement:g}")
        if self.invalid_rate > self.max_invalid_rate:
            lacks.append(
                f"{self.invalid_rate:.3f} of its answers are invalid, at most {self.max_invalid_rate:.3f} are allowed"
            )
        if self.tokens > self.max_tokens:
            lacks.append(f"it takes {self.tokens:.0f} tokens a problem, at most {self.max_tokens:.0f} are allowed")
        return lacks


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says, and why."""

    clears: bool
    reason: str
    comparison: Comparison | None = None
    """None where nothing can be compared."""


def judge(
    challenger: Sequence[Evaluation],
    champion: Sequence[Evaluation],
    gate: RegisterConfig,
    evaluate: EvaluateConfig,
    *,
    seed: int,
) -> Verdict:
    """Does the challenger clear the gate?

    It does if on one and the same evaluation set the paired improvement's lower bound exceeds `gate.min_improvement`,
    its invalid rate is at most `gate.max_invalid_increase` higher than the champion's, and it takes at most
    `gate.max_token_factor` times the champion's tokens a problem.

    Args:
        challenger, champion: the evaluations each carries, at least one; of several common sets the first counts.
    """
    common = next(
        ((ours, theirs) for ours in challenger for theirs in champion if ours.problems == theirs.problems), None
    )
    if common is None:
        sets = [", ".join(one.problems for one in carried) for carried in (challenger, champion)]
        return Verdict(clears=False, reason=f"evaluated on other problems ({sets[0]}) than the champion ({sets[1]})")
    comparison = compare(*common, gate, evaluate, seed=seed)
    reason = "; ".join([comparison.found, *comparison.refusals])
    return Verdict(clears=not comparison.refusals, reason=reason, comparison=comparison)


def compare(
    challenger: Evaluation, champion: Evaluation, gate: RegisterConfig, evaluate: EvaluateConfig, *, seed: int
) -> Comparison:
    """Both on the same problems, beside what the gate asks."""
    ids = sorted(challenger.scores)
    difference, interval, n = paired_difference(
        [challenger.scores[i] for i in ids],
        [champion.scores[i] for i in ids],
        num_samples=evaluate.bootstrap_samples,
        confidence=evaluate.confidence,
        seed=seed,
    )
    return Comparison(
        problems=challenger.problems,
        num_problems=n,
        accuracy=challenger.accuracy,
        champion_accuracy=champion.accuracy,
        improvement=difference,
        interval=interval,
        min_improvement=gate.min_improvement,
        invalid_rate=challenger.invalid_rate,
        champion_invalid_rate=champion.invalid_rate,
        max_invalid_rate=champion.invalid_rate + gate.max_invalid_increase,
        tokens=challenger.tokens,
        champion_tokens=champion.tokens,
        max_tokens=champion.tokens * gate.max_token_factor,
    )

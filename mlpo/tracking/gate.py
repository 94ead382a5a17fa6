"""The gate to `champion`: a challenger must beat the champion, problem by problem, on the very same problems."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mlpo.config import EvaluateConfig, RegisterConfig, digest
from mlpo.method.metrics import Difference, paired_difference


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How a leader with its team did on every test problem."""

    scores: Mapping[str, bool]
    """By problem id: was its answer right?"""
    invalid_rate: float
    """Share of problems without an answer."""

    @property
    def problems(self) -> str:
        """What the evaluation set is: the digest of its problem ids, which are content hashes themselves."""
        return digest(sorted(self.scores))

    @property
    def accuracy(self) -> float:
        """Share of problems answered right."""
        return sum(self.scores.values()) / len(self.scores)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says, and why."""

    clears: bool
    reason: str
    improvement: Difference | None = None
    """Challenger minus champion, paired by problem; None where they can't be compared."""


def judge(
    challenger: Evaluation, champion: Evaluation | None, gate: RegisterConfig, evaluate: EvaluateConfig, *, seed: int
) -> Verdict:
    """Does the challenger clear the gate?

    It does if there is no champion; else if both were evaluated on the same problems, the paired improvement's lower
    bound exceeds `gate.min_improvement`, and its invalid rate is at most `gate.max_invalid_increase` higher.
    """
    if champion is None:
        return Verdict(clears=True, reason="there is no champion yet")
    if challenger.problems != champion.problems:
        return Verdict(
            clears=False,
            reason=f"evaluated on other problems ({challenger.problems}) than the champion ({champion.problems})",
        )
    ids = sorted(challenger.scores)
    improvement = paired_difference(
        [challenger.scores[i] for i in ids],
        [champion.scores[i] for i in ids],
        num_samples=evaluate.bootstrap_samples,
        confidence=evaluate.confidence,
        seed=seed,
    )
    low, high = improvement.interval
    found = f"{improvement.difference:+.3f} [{low:+.3f}, {high:+.3f}] over the champion on {improvement.n} problems"
    if not low > gate.min_improvement:
        return Verdict(False, f"{found}; the lower bound must exceed {gate.min_improvement:g}", improvement)
    limit = champion.invalid_rate + gate.max_invalid_increase
    if challenger.invalid_rate > limit:
        more = f"{found}, but {challenger.invalid_rate:.3f} of its answers are invalid; at most {limit:.3f} are allowed"
        return Verdict(False, more, improvement)
    return Verdict(True, found, improvement)

"""What a team can win for its leader, how much of it the leader takes, and where that is known: who holds the fact.

    H = P(the leader alone is wrong, some first proposal is right)      winnable
    L = P(the leader alone is right, no first proposal is right)        losable
    captured = (accuracy with the team - accuracy alone) / H            on the same problems

Accuracy alone + H is the ceiling of a leader that only picks among its own answer and the proposals. The captured share
is not clipped: below 0 the team harms, above 1 the leader finds answers that nobody proposed. Wilson's intervals for H
and L. The captured share's is the percentile bootstrap's over problems: the gain and H of one resample are divided, as
both are of the same problems (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, 10.5 and 25.4).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mlpo.method.metrics.evaluation import Graded, accuracy_interval
from mlpo.method.metrics.shares import accuracy_by_count, rounded
from mlpo.method.selection import ProposalSet

MIN_HEADROOM = 0.05
"""Below it a team cannot pay: warned of where H is, and no captured share is given where H's lower bound is."""


class Chance(NamedTuple):
    """One problem before the leader has heard its team."""

    family: str
    alone: bool
    """Is the leader right without its team?"""
    proposed: bool
    """Is any of the team's first proposals right?"""

    @property
    def winnable(self) -> bool:
        """The leader needs its team here, and can have the answer from it."""
        return self.proposed and not self.alone

    @property
    def losable(self) -> bool:
        """The team can only mislead here."""
        return self.alone and not self.proposed


def proposal_chances(sets: Sequence[ProposalSet], alone: Mapping[str, bool]) -> list[Chance]:
    """The problems of `sets` that `alone` knows, each agent with its first sample, as when it is asked once.

    Args:
        alone: problem id -> is the leader right without its team?
    """
    return [
        Chance(s.problem.family, alone[s.problem.id], any(flags[0] for flags in s.correct.values() if flags))
        for s in sets
        if s.problem.id in alone
    ]


def headroom(chances: Sequence[Chance], *, confidence: float = 0.95) -> dict[str, Any]:
    """H and L of a team and a leader, overall and by family, and a warning where the team cannot pay, else "".

        {"n": problems, "alone": accuracy, "ceiling": accuracy alone + H,
         "winnable": {"share": H, "interval": [low, high]}, "losable": {"share": L, "interval": [low, high]},
         "by_family": {<family>: {"n": n, "winnable": H, "losable": L}}, "warning": text}

    Raises:
        ValueError: no problems.
    """
    if not chances:
        raise ValueError("headroom needs at least one problem")
    n = len(chances)
    winnable, losable = sum(c.winnable for c in chances), sum(c.losable for c in chances)
    families = sorted({c.family for c in chances})
    return {
        "n": n,
        "alone": rounded(sum(c.alone for c in chances) / n),
        "ceiling": rounded(sum(c.alone or c.proposed for c in chances) / n),
        "winnable": _with_interval(winnable, n, confidence),
        "losable": _with_interval(losable, n, confidence),
        "by_family": {family: _shares([c for c in chances if c.family == family]) for family in families},
        "warning": headroom_warning(winnable / n),
    }


def headroom_warning(winnable: float) -> str:
    """What a person should hear of so small a headroom; "" where it is `MIN_HEADROOM` or more."""
    if winnable >= MIN_HEADROOM:
        return ""
    return (
        f"{100 * winnable:.0f} % of the problems can be won by asking this team; below {100 * MIN_HEADROOM:.0f} % it "
        "hardly pays for its cost. Give its agents what the leader does not have: documents, tools, other weights."
    )


def captured_headroom(
    chances: Sequence[Chance],
    with_team: Sequence[bool],
    *,
    num_samples: int = 10_000,
    confidence: float = 0.95,
    seed: int,
) -> dict[str, Any]:
    """How much of the headroom a leader takes.

        {"with_team": accuracy, "won": problems only the leader with its team has right, "lost": ... only alone,
         "captured": {"share": (won - lost) / (n H), "interval": [low, high]}, or null where H's lower bound is under
         `MIN_HEADROOM`: too little to win,
         "by_family": {<family>: {"won": problems, "lost": problems}}}

    Args:
        with_team: is the leader right with its team? Of the same problems in the same order.
    Raises:
        ValueError: different lengths, or no problems.
    """
    n = len(chances)
    if n != len(with_team) or not n:
        raise ValueError(f"captured headroom needs both answers to each problem, got {n} and {len(with_team)}")
    pairs = list(zip(chances, with_team, strict=True))
    low = accuracy_interval(sum(c.winnable for c in chances), n, confidence=confidence).low
    return {
        "with_team": rounded(sum(with_team) / n),
        "won": sum(team and not c.alone for c, team in pairs),
        "lost": sum(c.alone and not team for c, team in pairs),
        "captured": None if low < MIN_HEADROOM else _captured(pairs, num_samples, confidence, seed),
        "by_family": {
            family: {
                "won": sum(team and not c.alone for c, team in pairs if c.family == family),
                "lost": sum(c.alone and not team for c, team in pairs if c.family == family),
            }
            for family in sorted({c.family for c in chances})
        },
    }


def headroom_metrics(
    graded: Mapping[str, Sequence[Graded]], *, num_samples: int = 10_000, confidence: float = 0.95, seed: int
) -> dict[str, dict[str, Any]]:
    """`headroom` and `captured_headroom` of every leader that was played with its team and, as <name>_solo, alone.

    Raises:
        ValueError: a leader did not answer the same problems in both.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, rows in graded.items():
        if f"{name}_solo" not in graded:
            continue
        alone = {g.problem.id: g.correct for g in graded[f"{name}_solo"]}
        if alone.keys() != {g.problem.id for g in rows}:
            raise ValueError(f"{name} and {name}_solo must have answered the same problems")
        chances = [Chance(g.problem.family, alone[g.problem.id], any(g.proposals_correct)) for g in rows]
        room = headroom(chances, confidence=confidence)
        taken = captured_headroom(
            chances, [g.correct for g in rows], num_samples=num_samples, confidence=confidence, seed=seed
        )
        families = {family: row | taken["by_family"][family] for family, row in room["by_family"].items()}
        found[name] = room | taken | {"by_family": families}
    return found


def accuracy_by_holders(
    graded: Mapping[str, Sequence[Graded]], holders: Mapping[str, int]
) -> dict[str, dict[str, dict[str, float]]]:
    """Strategy -> number of agents that hold the problem's fact, "0" and up -> {"accuracy", "n"}.

    Args:
        holders: problem id -> agents whose documents hold its fact; problems that are not in it are left out.
    """
    counts = range(max(holders.values(), default=-1) + 1)
    return {
        name: accuracy_by_count(((holders[g.problem.id], g.correct) for g in rows if g.problem.id in holders), counts)
        for name, rows in graded.items()
    }


def _shares(chances: Sequence[Chance]) -> dict[str, float]:
    n = len(chances)
    winnable, losable = sum(c.winnable for c in chances), sum(c.losable for c in chances)
    return {"n": n, "winnable": rounded(winnable / n), "losable": rounded(losable / n)}


def _with_interval(count: int, n: int, confidence: float) -> dict[str, Any]:
    return {"share": rounded(count / n), "interval": list(accuracy_interval(count, n, confidence=confidence))}


def _captured(pairs: Sequence[tuple[Chance, bool]], num_samples: int, confidence: float, seed: int) -> dict[str, Any]:
    """Mean gain over mean room, with the interval of resamples that draw both of one problem together.

    A problem is one of few kinds (gain, room), so a resample of problems is a draw of how many there are of each kind.
    """
    kinds = Counter((team - chance.alone, chance.winnable) for chance, team in pairs)
    gains, rooms = (np.array(column, dtype=np.float64) for column in zip(*kinds, strict=True))
    seen = np.array(list(kinds.values()))
    drawn = np.random.default_rng(seed).multinomial(seen.sum(), seen / seen.sum(), size=num_samples)
    gain, room = drawn @ gains, drawn @ rooms
    ratios = gain[room > 0] / room[room > 0]  # a resample without headroom says nothing of its share
    low, high = np.quantile(ratios, [(1 - confidence) / 2, (1 + confidence) / 2])
    return {
        "share": rounded(float(np.dot(seen, gains) / np.dot(seen, rooms))),
        "interval": [rounded(low), rounded(high)],
    }

"""From transcripts in which every answer was made to trails on which asking can be replayed.

Such transcripts come from `consult` with the policy `measuring()`, or from a leader's solo run and its rounds on the
same problems.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from mlpo.method.confidence import Signal
from mlpo.method.consult_curve import Attempt
from mlpo.method.consult_policy import ConsultPolicy, least_doubt, signal_of
from mlpo.method.metrics.evaluation import Graded
from mlpo.method.strategies.leader_rounds import surest_first
from mlpo.types import LEADER, Completion, Transcript


class Measured(NamedTuple):
    """One answer that was made: what it showed of its leader's doubt, whether it was right, and what it cost."""

    signal: float | None
    """None where the leader's model does not tell."""
    answered: bool
    correct: bool
    tokens: int
    generations: int
    draft_tokens: int = 0
    """Of a draft that is made only where asking ends with it; not among `tokens`."""
    draft_generations: int = 0


MeasuredTrail = Sequence[Measured]
"""A problem's answers: alone, after round 1 or after each of its agents, after round 2, and so on."""


def joined(solo: Graded, team: Graded) -> Graded:
    """A leader's answer alone and then its rounds, as if one strategy had made them.

    Raises:
        ValueError: they are of different problems, or not a solo run and a team's rounds.
    """
    first, rounds = solo.transcript, team.transcript
    if solo.problem.id != team.problem.id or len(first.rounds) != 1 or first.rounds[0].proposals:
        raise ValueError(
            f"joined needs a leader's solo run and its rounds on one problem, got {first.strategy} on "
            f"{solo.problem.id} and {rounds.strategy} on {team.problem.id}"
        )
    whole = replace(rounds, rounds=(*first.rounds, *rounds.rounds), extra=(*first.extra, *rounds.extra))
    return replace(team, transcript=whole, rounds_correct=(*solo.rounds_correct, *team.rounds_correct))


def asked_together(transcript: Transcript, num_partial: int) -> Transcript:
    """The answer alone and then all rounds, of a transcript whose first round asked its agents one by one.

    Args:
        num_partial: drafts of the first round before its last; they are left out, as if they had not been made.
    """
    alone, *rounds = transcript.rounds
    first, later = rounds[: num_partial + 1], rounds[num_partial + 1 :]
    whole = replace(first[-1], proposals=surest_first([c for r in first for c in r.proposals]))
    samples = [c for c in transcript.extra if c.model == LEADER]
    made = _in_parts(samples, len(transcript.rounds))
    kept = [c for part in (made[0], *made[num_partial + 1 :]) for c in part]
    others = [c for c in transcript.extra if c.model != LEADER]
    return replace(transcript, rounds=(alone, whole, *later), extra=(*kept, *others))


def measured(graded: Graded, signal: Signal = "entropy", num_partial: int = 0) -> tuple[Measured, ...]:
    """The trail of a transcript that begins with the answer alone.

    Its further samples belong to its rounds in equal parts: the leader's to all of them, the agents' to those that ask.

    Args:
        num_partial: drafts of the first round before its last, of `mlpo.method.consult.every_answer`.
    """
    rounds, extra = graded.transcript.rounds, graded.transcript.extra
    of_leader = iter(_in_parts([c for c in extra if c.model == LEADER], len(rounds)))
    of_agents = iter(_in_parts([c for c in extra if c.model != LEADER], sum(bool(r.proposals) for r in rounds)))
    trail, heard = [], list[Completion]()
    for place, (played, correct) in enumerate(zip(rounds, graded.rounds_correct, strict=True)):
        samples, first = next(of_leader), 1 <= place <= num_partial + 1
        heard = [*heard, *played.proposals] if first else list(played.proposals)
        whole = replace(played, proposals=tuple(heard))
        partial = 1 <= place <= num_partial
        shown = least_doubt(heard) if partial else signal_of(signal, whole, samples, graded.problem, first=first)
        drafted = [*([played.draft] if played.draft else []), *samples]
        asked = [*played.proposals, *(next(of_agents) if played.proposals else ())]
        if partial:
            costs = (tokens_of(asked), len(asked), tokens_of(drafted), len(drafted))
        else:
            costs = (tokens_of([*asked, *drafted]), len(asked) + len(drafted), 0, 0)
        trail.append(Measured(shown, played.answer is not None, correct, *costs))
    return tuple(trail)


def _in_parts(completions: Sequence[Completion], num: int) -> list[Sequence[Completion]]:
    each = len(completions) // max(num, 1)
    return [completions[place * each : (place + 1) * each] for place in range(num)]


def attempts(trail: MeasuredTrail, policy: ConsultPolicy) -> tuple[Attempt, ...]:
    """The trail with P(right) as the policy's maps see it."""
    return tuple(
        Attempt(  # asking ends or goes on before a draft of some agents is made, so it may turn out to be unreadable
            policy.confidence(place, "" if made.answered or made.draft_generations else None, made.signal),
            *made[1:],
        )
        for place, made in enumerate(trail)
    )


def tokens_of(completions: Iterable[Completion]) -> int:
    """Tokens of prompts and completions together."""
    return sum(c.tokens for c in completions)

"""Demonstrations for the warm start: verified corrections made of the models' own words on training problems.

The paper warms its leader up on synthetic backtracking and self-correction; how they are made is ours. With a team as
without one the leader answers first, in words of its own sample, and weighs the proposals after: it neither copies
whoever stands first nor names an agent before it has a reason to.

    confirm            its words are right, and so is most of the team: they are kept
    overrule_majority  its words are right, most of the team is wrong: they are kept
    recover_alone      its words are right, every proposal is wrong: they are kept
    backtrack          its words are wrong, "Wait,", a correct proposal follows by its agent's name
    solo_confirm, solo_backtrack   the same without a team, from the leader's own samples

A problem without a usable sample of the leader's own begins with the words of a proposal instead.

Where agents hold documents of their own, what tells whom to trust is who speaks of the question. With `trust_share` a
share of the demonstrations says so first and answers after:

    trust     "alpha speaks of artist, not of army. beta speaks of army: The plural of army is armies."
              of several who speak of it the surest, where that is known: "beta is surest of army: ..."
    nobody    "No one speaks of army. The plural of army is armies.": the words are the leader's own
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mlpo.method.answers import Equivalent, is_correct, parse_plain, plain_spans
from mlpo.method.prompts import leader_messages, leader_text, quote, solo_messages
from mlpo.method.rare_words import WordCounts
from mlpo.method.seeds import derive_seed
from mlpo.method.selection import ProposalSet, ProposalTuple, draw_tuples
from mlpo.method.strategies.leader_rounds import Share
from mlpo.method.subjects import other_subject, subject_of
from mlpo.types import Completion, Demonstration, Problem

TEAM_SHARES: Mapping[str, float] = {
    "confirm": 0.25,
    "overrule_majority": 0.2,
    "recover_alone": 0.3,
    "backtrack": 0.25,
}
"""Share of each kind among demonstrations with a team. Every wrong start is also a start that is imitated."""
TRUST_SHARES: Mapping[str, float] = {"trust": 0.7, "nobody": 0.3}
"""Share of each kind among demonstrations that say who speaks of the question; a fact is more often held than not."""
SOLO_SHARES: Mapping[str, float] = {"solo_confirm": 0.95, "solo_backtrack": 0.05}
"""A small model that is shown more second thoughts without a team has them without end where it does not know."""


class Voice(NamedTuple):
    """A completion a demonstration can quote."""

    model: str
    words: str
    answer: str
    """As written, without the sentence around it."""
    correct: bool
    certainty: float | None
    """As the leader is told it."""


@dataclass(frozen=True, slots=True)
class Demonstrations:
    """What was built, and what was not."""

    rows: tuple[Demonstration, ...]
    rejected: Mapping[str, int]
    """Reason -> number of completions or problems that gave no demonstration."""


def build_demonstrations(
    sets: Sequence[ProposalSet],
    own: Mapping[str, Sequence[Completion]],
    *,
    max_demonstrations: int,
    max_quoted_characters: int,
    solo_share: float,
    tuples_per_problem: int,
    seed: int,
    trust_share: float = 0.0,
    share: Share = "reasoning",
    equivalent: Equivalent | None = None,
) -> Demonstrations:
    """Up to `max_demonstrations`, in the shares above as far as the completions allow, in an order drawn by seed.

    Args:
        own: problem id -> the untrained leader's samples without a team.
        max_quoted_characters: longer completions are left out; a ramble would teach the leader to ramble.
        solo_share: share of demonstrations without a team block.
        trust_share: share of those with a team that say which proposals speak of the question; what is lacking of
            them goes to the other kinds.
        share: what a leader sees of a proposal, and so what it can quote.
        equivalent: as the proposals were graded, for the leader's own samples.
    """
    rejected: Counter[str] = Counter()
    counts = WordCounts.of(each.problem.question for each in sets)
    candidates: dict[str, list[Demonstration]] = {kind: [] for kind in (*TEAM_SHARES, *TRUST_SHARES, *SOLO_SHARES)}
    for proposals in (each.shown(share) for each in sets):
        problem = proposals.problem
        rng = random.Random(derive_seed(seed, "demonstrations", problem.id))
        voices = _Voices(problem, max_quoted_characters, equivalent, rejected)
        mine = voices.of(own.get(problem.id, ()))
        for row in _solo(problem, mine, rng):
            candidates[row.kind].append(row)
        tuples = draw_tuples(proposals, tuples_per_problem, seed)
        for shown in tuples:
            team = voices.of(shown.proposals)
            for row in _with_team(problem, shown, mine, team, rng):
                candidates[row.kind].append(row)
            for row in _who_speaks(problem, shown, mine, team, counts) if trust_share else ():
                candidates[row.kind].append(row)
        if not any(v.correct for v in mine) and not any(t.num_correct for t in tuples):
            rejected["problem nobody solved"] += 1
    num_solo = round(max_demonstrations * solo_share)
    num_team = max_demonstrations - num_solo
    rows = _drawn(candidates, TRUST_SHARES, round(num_team * trust_share), seed)
    rows += _drawn(candidates, TEAM_SHARES, num_team - len(rows), seed)
    rows += _drawn(candidates, SOLO_SHARES, num_solo, seed)
    random.Random(derive_seed(seed, "demonstrations", "order")).shuffle(rows)
    return Demonstrations(tuple(rows), dict(sorted(rejected.items())))


def count_demonstrations(built: Demonstrations, problems: Mapping[str, Problem]) -> dict[str, Any]:
    """Counts by kind, source, family and benchmark, and what was rejected."""
    rows = built.rows
    return {
        "count": len(rows),
        "by_kind": dict(sorted(Counter(r.kind for r in rows).items())),
        "by_source": dict(sorted(Counter(s for r in rows for s in r.sources).items())),
        "by_family": dict(sorted(Counter(r.family for r in rows).items())),
        "by_benchmark": dict(sorted(Counter(problems[r.problem_id].benchmark for r in rows).items())),
        "num_problems": len({r.problem_id for r in rows}),
        "rejected": dict(built.rejected),
    }


@dataclass(frozen=True, slots=True)
class _Voices:
    """What can be quoted for one problem; what cannot is counted with its reason."""

    problem: Problem
    max_characters: int
    equivalent: Equivalent | None
    rejected: Counter[str]
    known: dict[Completion, Voice | None] = field(default_factory=dict)
    """A proposal stands in several tuples."""

    def of(self, completions: Sequence[Completion]) -> list[Voice]:
        for new in (c for c in completions if c not in self.known):
            self.known[new] = self._voice(new)
        return [voice for completion in completions if (voice := self.known[completion])]

    def _voice(self, completion: Completion) -> Voice | None:
        kind, choices = self.problem.answer_kind, self.problem.choices
        text, answer = quote(completion.text), parse_plain(completion.text, kind, choices)
        if completion.finish_reason != "stop":
            self.rejected["completion cut or failed"] += 1
        elif answer is None:
            self.rejected["completion without an answer"] += 1
        elif len(text) > self.max_characters:
            self.rejected["completion too long"] += 1
        else:
            spans = plain_spans(completion.text, kind)
            written = next(s for s in spans if parse_plain(s, kind, choices) is not None)
            correct = is_correct(answer, self.problem, equivalent=self.equivalent)
            return Voice(completion.model, text, quote(written).rstrip(" ."), correct, completion.certainty)
        return None


def _solo(problem: Problem, mine: Sequence[Voice], rng: random.Random) -> Iterator[Demonstration]:
    right, wrong = _sides(mine)
    if right:
        voice = rng.choice(right)
        yield _row("solo_confirm", problem, (), voice.words, voice, ())
        if wrong:
            first = rng.choice(wrong)
            yield _row("solo_backtrack", problem, (), f"{first.words} Wait, {voice.words}", voice, (first,))


def _with_team(
    problem: Problem, shown: ProposalTuple, mine: Sequence[Voice], team: Sequence[Voice], rng: random.Random
) -> Iterator[Demonstration]:
    right, _ = _sides(team)
    first_right, first_wrong = _sides(mine or team)
    if first_right:
        voice = rng.choice(first_right)
        yield _row(_kept_kind(shown), problem, shown.proposals, voice.words, voice, ())
    if first_wrong and right:
        first, voice = rng.choice(first_wrong), rng.choice(right)
        think = f"{first.words} Wait, {voice.model}: {voice.words}"
        yield _row("backtrack", problem, shown.proposals, think, voice, (first,))


def _who_speaks(
    problem: Problem, shown: ProposalTuple, mine: Sequence[Voice], team: Sequence[Voice], counts: WordCounts
) -> Iterator[Demonstration]:
    """Where some proposals speak of the question, the surest of those if it is right; where none does, the leader.

    Where agents do not tell how sure they are, all that speak of it have to be right, and the first of them is trusted.
    """
    subject = subject_of(problem.question, counts)
    if subject is None:
        return
    speaks = [subject.is_in(quote(proposal.text)) for proposal in shown.proposals]
    about = [voice for voice in team if subject.is_in(voice.words)]
    right, _ = _sides(mine)
    if not any(speaks) and right:
        think = f"No one speaks of {subject.phrase}. {right[0].words}"
        yield _row("nobody", problem, shown.proposals, think, right[0], ())
    elif about and len(about) == sum(speaks):
        trusted = about[0]  # they stand as the leader is shown them, the surest first
        told = all(voice.certainty is not None for voice in about)
        if not trusted.correct or not (told or all(voice.correct for voice in about)) or (all(speaks) and not told):
            return
        why = "is surest of" if len(about) > 1 and told else "speaks of"
        think = f"{trusted.model} {why} {subject.phrase}: {trusted.words}"
        first = shown.proposals[0]
        if not speaks[0]:  # of those passed over one is named: a leader has few tokens
            other = other_subject(quote(first.text), problem.question, counts)
            said = f"speaks of {other.phrase}, not of" if other else "does not speak of"
            think = f"{first.model} {said} {subject.phrase}. {think}"
        yield _row("trust", problem, shown.proposals, think, trusted, ())


def _kept_kind(shown: ProposalTuple) -> str:
    if shown.num_correct == 0:
        return "recover_alone"
    return "confirm" if 2 * shown.num_correct > len(shown.proposals) else "overrule_majority"


def _sides(voices: Sequence[Voice]) -> tuple[list[Voice], list[Voice]]:
    return [v for v in voices if v.correct], [v for v in voices if not v.correct]


def _row(
    kind: str, problem: Problem, shown: Sequence[Completion], think: str, voice: Voice, others: Sequence[Voice]
) -> Demonstration:
    messages = leader_messages(problem, shown) if shown else solo_messages(problem)
    sources = tuple(sorted({v.model for v in (voice, *others)}))
    return Demonstration(problem.id, problem.family, kind, messages, leader_text(think, voice.answer), sources)


def _drawn(
    candidates: Mapping[str, Sequence[Demonstration]], shares: Mapping[str, float], total: int, seed: int
) -> list[Demonstration]:
    """`total` distinct candidates in the wanted shares; what one kind lacks goes to the kinds that have more."""
    pools = {}
    for kind in shares:
        pools[kind] = list({(r.messages, r.completion): r for r in candidates[kind]}.values())
        random.Random(derive_seed(seed, "demonstrations", kind)).shuffle(pools[kind])
    taken: dict[str, int] = dict.fromkeys(shares, 0)
    for _ in range(min(total, sum(map(len, pools.values())))):
        open_kinds = [kind for kind in shares if taken[kind] < len(pools[kind])]
        taken[min(open_kinds, key=lambda kind: (taken[kind] + 1) / shares[kind])] += 1
    return [row for kind in shares for row in pools[kind][: taken[kind]]]

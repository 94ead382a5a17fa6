"""What metrics.json says: every strategy's accuracy with its interval and its cost, and paired differences.

    {"strategies": {<name>: {
         "accuracy": a, "interval": [low, high], "n": problems,                       Wilson interval
         "upper_bound": true for an oracle (it looked at targets), else false,
         "invalid_rate": problems without an answer, "lenient_rate": answers read without tags,      shares of n
         "truncated_rate": cut off at the token limit, "error_rate": failed,                   shares of generations
         "generations": g, "prompt_tokens": p, "completion_tokens": c,                               per problem
         "generations_by_model": {<agent or "leader">: g}, "generations_saved": by early stop,       per problem
         "by_round": {"0": accuracy of the answers after round 0, ...},
         "by_family": {<family>: {"accuracy": a, "n": n}},
         "by_num_correct": {"0".."K": {"accuracy": a, "n": n}},      by correct proposals in round 0; {} without a team
         "by_position": {"0".."K-1": {"accuracy": a, "n": n}},         by the place of the only correct one of K > 1
         "by_agreement": {"0".."K": {"accuracy": a, "n": n, "vote_accuracy": v}},       by proposals that agree
         "agreement": mean share of proposals that give the most frequent answer, K > 1,
         "rescued": {"share": s, "n": problems on whose round-0 proposals the vote is wrong},    ... answered right
         "talked_out_of_vote": {"share": s, "n": problems on whose round-0 proposals it is right},   ... answered wrong
         "talked_out": {"share": s, "n": problems with a right draft in round 0}}},              ... answered wrong
     "paired": {"<first>_vs_<name>": {
         "difference": accuracy of the first minus the other's, "interval": [low, high], "n": problems,
         "won": problems only the first has right, "lost": problems only the other has right,
         "mcnemar_p": McNemar's exact p, "holm_p": the same, corrected by Holm for the family of rivals: every strategy
                      but the oracle, the single agents represented by the best one; others have none}},
     "best_single": the agent that was best on training problems,
     "headroom": added by the stage: {<leader played alone too>: see `headroom_metrics` in mlpo/method/headroom.py},
     "by_holders": added by the stage: {<strategy>: {"0" and up, the agents that hold the fact: {"accuracy", "n"}}}; the
                   inner one is {} where nobody knows who holds what,
     "consult": added by the stage (mlpo/method/consult_metrics.py), {} where nobody knows how sure the leader is,
     "dead_agents": added by the stage, {} unless evaluation went on without an agent: {<agent>: {
         "missing": answers it did not give, "of": answers wanted of it by all strategies, "reason": its server's end}}}

A share of nothing is 0 with n 0. Numbers have 6 places and depend on nothing but the transcripts and the seed. What is
said of proposals is in mlpo/method/metrics/team_metrics.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import binomtest, bootstrap

from mlpo.method.answers import Equivalent, agent_answer, is_correct
from mlpo.method.metrics.shares import accuracy_by, rounded, share
from mlpo.method.metrics.significance import holm_p, mcnemar_p
from mlpo.method.metrics.team_metrics import TeamOutcome, team_metrics
from mlpo.method.strategies.baselines import ORACLE, vote
from mlpo.types import Problem, Transcript


class Interval(NamedTuple):
    """A confidence interval."""

    low: float
    high: float


class Difference(NamedTuple):
    """Mean of a - b over problems, with a paired interval."""

    difference: float
    interval: Interval
    n: int


@dataclass(frozen=True, slots=True)
class Graded:
    """A transcript with everything that had to be compared with the target."""

    problem: Problem
    transcript: Transcript
    correct: bool
    rounds_correct: tuple[bool, ...]
    """Was the answer after each round right?"""
    proposals_correct: tuple[bool, ...]
    """Was each proposal of the first round that has some right? Empty without a team."""
    vote_correct: bool
    """Is the vote over the proposals of round 0 right?"""
    num_agreeing: int
    """Proposals of round 0 that give their most frequent answer."""


def grade(transcript: Transcript, problem: Problem, *, equivalent: Equivalent | None = None) -> Graded:
    """Compare every answer of a transcript with the target.

    Raises:
        ValueError: the transcript is another problem's.
    """
    if transcript.problem_id != problem.id:
        raise ValueError(f"transcript of problem {transcript.problem_id} graded against problem {problem.id}")

    def right(answer: str | None) -> bool:
        return is_correct(answer, problem, equivalent=equivalent)

    first = next((r.proposals for r in transcript.rounds if r.proposals), ())
    answers = [agent_answer(c, problem) for c in first]
    winner = vote(answers)
    return Graded(
        problem,
        transcript,
        correct=right(transcript.answer),
        rounds_correct=tuple(right(r.answer) for r in transcript.rounds),
        proposals_correct=tuple(right(a) for a in answers),
        vote_correct=right(winner),
        num_agreeing=0 if winner is None else answers.count(winner),
    )


def accuracy_interval(num_correct: int, n: int, *, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of num_correct / n (Wilson 1927)."""
    low, high = binomtest(num_correct, n).proportion_ci(confidence, method="wilson")
    return Interval(rounded(low), rounded(high))


def paired_difference(
    a: Sequence[float], b: Sequence[float], *, num_samples: int = 10_000, confidence: float = 0.95, seed: int
) -> Difference:
    """Mean of a - b with the percentile interval of the bootstrap over problems (Efron 1979), seeded.

    Args:
        a, b: scores of two strategies on the same problems, in the same order.
    Raises:
        ValueError: different lengths, or fewer than two problems.
    """
    if len(a) != len(b) or len(a) < 2:
        raise ValueError(
            f"a paired difference needs two scores for each of at least 2 problems, got {len(a)} and {len(b)}"
        )
    differences = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    result = bootstrap(
        (differences,),
        np.mean,
        n_resamples=num_samples,
        batch=1000,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    low, high = result.confidence_interval
    return Difference(rounded(differences.mean()), Interval(rounded(low), rounded(high)), len(a))


def strategy_metrics(
    graded: Sequence[Graded], *, confidence: float = 0.95, generations: int | None = None
) -> dict[str, Any]:
    """One strategy's entry under "strategies"; `generations` a problem are what it would take without early stop.

    Raises:
        ValueError: no transcripts.
    """
    if not graded:
        raise ValueError("strategy_metrics needs at least one graded transcript")
    n = len(graded)
    transcripts = [g.transcript for g in graded]
    completions = [c for t in transcripts for c in t.completions]
    by_model = Counter(c.model for c in completions)
    num_correct = sum(g.correct for g in graded)
    return {
        "accuracy": rounded(num_correct / n),
        "interval": list(accuracy_interval(num_correct, n, confidence=confidence)),
        "n": n,
        "upper_bound": transcripts[0].strategy == ORACLE,
        "invalid_rate": rounded(sum(t.answer is None for t in transcripts) / n),
        "lenient_rate": rounded(sum(t.lenient for t in transcripts) / n),
        "truncated_rate": share(c.finish_reason == "length" for c in completions)["share"],
        "error_rate": share(c.finish_reason == "error" for c in completions)["share"],
        "generations": rounded(len(completions) / n),
        "prompt_tokens": rounded(sum(c.prompt_tokens for c in completions) / n),
        "completion_tokens": rounded(sum(c.completion_tokens for c in completions) / n),
        "generations_by_model": {model: rounded(count / n) for model, count in sorted(by_model.items())},
        "generations_saved": rounded(generations - len(completions) / n) if generations else 0.0,
        "by_round": _by_round(graded),
        "by_family": accuracy_by((g.problem.family, g.correct) for g in graded),
        **team_metrics(
            [
                TeamOutcome(g.proposals_correct, g.num_agreeing, g.vote_correct, g.correct)
                for g in graded
                if g.proposals_correct
            ]
        ),
        "talked_out": share(not g.correct for g in graded if g.transcript.rounds and _first_draft_correct(g)),
    }


def paired_metrics(
    a: Sequence[Graded], b: Sequence[Graded], *, num_samples: int = 10_000, confidence: float = 0.95, seed: int
) -> dict[str, Any]:
    """One entry under "paired": strategy a against b on the same problems, in any order.

    Raises:
        ValueError: they did not answer the same problems.
    """
    scores_a = {g.problem.id: g.correct for g in a}
    scores_b = {g.problem.id: g.correct for g in b}
    if scores_a.keys() != scores_b.keys():
        odd = sorted(scores_a.keys() ^ scores_b.keys())
        raise ValueError(f"a paired difference needs the same problems; {len(odd)} are in one strategy only: {odd[:3]}")
    ids = sorted(scores_a)
    ordered_a, ordered_b = [scores_a[i] for i in ids], [scores_b[i] for i in ids]
    result = paired_difference(ordered_a, ordered_b, num_samples=num_samples, confidence=confidence, seed=seed)
    won = sum(x and not y for x, y in zip(ordered_a, ordered_b, strict=True))
    lost = sum(y and not x for x, y in zip(ordered_a, ordered_b, strict=True))
    return {
        "difference": result.difference,
        "interval": list(result.interval),
        "n": result.n,
        "won": won,
        "lost": lost,
        "mcnemar_p": mcnemar_p(won, lost),
    }


def evaluation_metrics(
    graded: Mapping[str, Sequence[Graded]],
    *,
    best_single: str,
    first: str = "leader",
    generations: Mapping[str, int] | None = None,
    num_samples: int = 10_000,
    confidence: float = 0.95,
    seed: int,
) -> dict[str, Any]:
    """The whole of metrics.json from graded transcripts by strategy name.

    `first` is compared with every other strategy; `leader_vs_best_single` repeats the comparison with the agent
    `best_single`, which the caller chose on training problems.

    Args:
        generations: strategy -> completions per problem, if nothing stops early; what is missing saves nothing.
    """
    planned = generations or {}
    rivals = {name: name for name in graded if name != first}
    if f"single:{best_single}" in graded:
        rivals["best_single"] = f"single:{best_single}"
    paired = {
        f"{first}_vs_{name}": paired_metrics(
            graded[first], graded[rival], num_samples=num_samples, confidence=confidence, seed=seed
        )
        for name, rival in rivals.items()
    }
    family = [f"{first}_vs_{name}" for name in rivals if name != ORACLE and not name.startswith("single:")]
    for pair, corrected in holm_p({pair: paired[pair]["mcnemar_p"] for pair in family}).items():
        paired[pair]["holm_p"] = corrected
    strategies = {
        name: strategy_metrics(rows, confidence=confidence, generations=planned.get(name))
        for name, rows in graded.items()
    }
    return {"strategies": strategies, "paired": paired, "best_single": best_single, "confidence": confidence}


def _by_round(graded: Sequence[Graded]) -> dict[str, float]:
    """Accuracy after each round; a problem that stopped early keeps its answer."""
    longest = max(len(g.rounds_correct) for g in graded)
    after = [
        [g.rounds_correct[min(t, len(g.rounds_correct) - 1)] for g in graded if g.rounds_correct]
        for t in range(longest)
    ]
    return {str(t): rounded(sum(flags) / len(flags)) for t, flags in enumerate(after)}


def _first_draft_correct(graded: Graded) -> bool:
    return graded.transcript.rounds[0].draft is not None and graded.rounds_correct[0]

"""How sure an agent is: how many of its samples give the answer that the leader is shown, such as "2 of 3".

Answers that a model gives again and again are right more often (self-consistency, arXiv:2203.11171).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mlpo.method.answers import agent_answer
from mlpo.method.seeds import derive_seed
from mlpo.method.selection import ProposalSet
from mlpo.types import LEADER, Completion, Problem, Request, StrategyRun, Transcript


def agreed(proposals: ProposalSet) -> ProposalSet:
    """The same, each proposal with its agreement among all of its agent."""
    problem = proposals.problem
    return replace(proposals, proposals={a: _counted(problem, theirs) for a, theirs in proposals.proposals.items()})


def with_agreement(run: StrategyRun, problem: Problem, num_samples: int) -> StrategyRun:
    """A strategy whose agents are asked `num_samples` times: it gets the first of their completions and its agreement.

    The leader is asked as before. The further completions are paid for, so they are in the transcript's `extra`.
    """
    further: list[Completion] = []
    completions: list[Completion] | None = None
    while True:
        try:
            requests = next(run) if completions is None else run.send(completions)
        except StopIteration as stop:
            transcript: Transcript = stop.value
            return replace(transcript, extra=(*transcript.extra, *further))
        wanted = [_asked_again(request, num_samples) for request in requests]
        answered = iter((yield [request for group in wanted for request in group]))
        completions = []
        for group in wanted:
            theirs = [next(answered) for _ in group]
            completions.append(_counted(problem, theirs)[0] if len(group) > 1 else theirs[0])
            further += theirs[1:]


def _asked_again(request: Request, num_samples: int) -> list[Request]:
    if request.model == LEADER:
        return [request]
    return [
        replace(request, sample=request.sample + k, seed=derive_seed(request.seed, "agreement", k)) if k else request
        for k in range(num_samples)
    ]


def _counted(problem: Problem, samples: Sequence[Completion]) -> tuple[Completion, ...]:
    answers = [agent_answer(completion, problem) for completion in samples]
    counts = [0 if answer is None else answers.count(answer) for answer in answers]
    return tuple(replace(c, agreement=(n, len(samples))) for c, n in zip(samples, counts, strict=True))

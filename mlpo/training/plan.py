"""Which prompt the leader meets at which step: decided before training, from the seed, and given as data."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from mlpo.config import TrainMlpoConfig, TrainSftConfig
from mlpo.method.prompts import leader_messages, solo_messages
from mlpo.method.seeds import derive_seed
from mlpo.method.selection import ProposalTuple
from mlpo.types import Completion, Message, Problem


@dataclass(frozen=True, slots=True)
class TrainingPrompt:
    """One prompt of the leader: a problem with one proposal per agent, or alone."""

    problem: Problem
    proposals: tuple[Completion, ...] = ()
    """In the order shown to the leader; none is solo."""
    num_correct: int | None = None
    """How many of the proposals are correct; None for solo."""
    refresh: bool = False
    """Ask the agents again, with the current leader's draft, before the roll-out."""

    @property
    def messages(self) -> tuple[Message, ...]:
        """What the leader is shown."""
        return leader_messages(self.problem, self.proposals) if self.proposals else solo_messages(self.problem)

    @property
    def tuple_name(self) -> str:
        """The proposals by agent and sample, in order: "geo:0 number:3"; "solo" without."""
        return " ".join(f"{p.model}:{p.sample}" for p in self.proposals) or "solo"


def plan_prompts(
    problems: Sequence[tuple[Problem, Sequence[ProposalTuple]]],
    num_prompts: int,
    *,
    seed: int,
    use_team: bool = True,
    solo_share: float = 0.0,
    refresh_share: float = 0.0,
) -> list[TrainingPrompt]:
    """The prompts of a whole training run, in order.

    The problems are gone through again and again, each time in a new random order; a problem met for the k-th time with
    its team shows its k-th tuple. Solo prompts, and refreshed ones among the others, are spread evenly: of every n
    prompts in a row, the share is met to within one.

    Raises:
        ValueError: no problems, or one without a tuple although a team is used.
    """
    if num_prompts and not problems:
        raise ValueError("there are no training problems to plan with")
    rng = random.Random(derive_seed(seed, "plan"))
    tuples = {problem.id: rng.sample(list(choices), len(choices)) for problem, choices in problems}
    shown = dict.fromkeys(tuples, 0)
    plan: list[TrainingPrompt] = []
    num_team = 0
    while len(plan) < num_prompts:
        for problem, _ in rng.sample(list(problems), len(problems))[: num_prompts - len(plan)]:
            if not use_team or _due(len(plan), solo_share):
                plan.append(TrainingPrompt(problem))
                continue
            choices = tuples[problem.id]
            if not choices:
                raise ValueError(f"problem {problem.id} has no tuple of proposals")
            chosen = choices[shown[problem.id] % len(choices)]
            shown[problem.id] += 1
            refresh = _due(num_team, refresh_share)
            num_team += 1
            plan.append(TrainingPrompt(problem, chosen.proposals, chosen.num_correct, refresh))
    return plan


def _due(index: int, share: float) -> bool:
    """Is the event with this share due at `index`, if spread evenly? The tolerance keeps 0.1 * 10 from being 0.999."""
    return int((index + 1) * share + 1e-9) > int(index * share + 1e-9)


def num_planned_prompts(config: TrainMlpoConfig) -> int:
    """How many prompts a run goes through: a batch of roll-outs serves `updates_per_batch` steps."""
    return math.ceil(config.steps / config.updates_per_batch) * config.prompts_per_step


def num_sft_steps(num_demonstrations: int, config: TrainSftConfig) -> int:
    """Optimizer steps for so many demonstrations, those of later epochs counted again."""
    return math.ceil(num_demonstrations / config.batch_size)

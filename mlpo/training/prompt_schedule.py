"""Which prompt the leader meets at which step: decided before training, from the seed, and given as data."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from mlpo.config import TrainMlpoConfig, TrainSftConfig
from mlpo.method.prompts import leader_messages, solo_messages
from mlpo.method.random_teams import reordered, some_of, with_hostile
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
    hostile: str = ""
    """The agent for whom a hostile one speaks; empty is none."""

    @property
    def messages(self) -> tuple[Message, ...]:
        """What the leader is shown."""
        return leader_messages(self.problem, self.proposals) if self.proposals else solo_messages(self.problem)

    @property
    def tuple_name(self) -> str:
        """The proposals by agent and sample, in order: "geo:0 number:3" or "geo:hostile number:3"; "solo" without."""
        names = (f"{p.model}:{'hostile' if p.model == self.hostile else p.sample}" for p in self.proposals)
        return " ".join(names) or "solo"


@dataclass(frozen=True, slots=True)
class Teams:
    """What the teams of a run look like; by default each is a whole tuple, in one order for each problem."""

    sizes: Literal["full", "random"] = "full"
    """"random": 1 to K of the K agents; of every K prompts in a row with a team, each size is met once."""
    shuffle_order: bool = False
    """Every prompt draws the order of its team."""
    hostile_share: float = 0.0
    """Share of the prompts with proposals of `propose` in which one of them is a hostile one."""
    claim: Callable[[Problem], str] | None = None
    """What a hostile agent says, as the leader sees it."""


WHOLE_TEAMS = Teams()


def plan_prompts(
    problems: Sequence[tuple[Problem, Sequence[ProposalTuple]]],
    num_prompts: int,
    *,
    seed: int,
    use_team: bool = True,
    solo_share: float = 0.0,
    refresh_share: float = 0.0,
    teams: Teams = WHOLE_TEAMS,
    weights: Mapping[str, float] | None = None,
) -> list[TrainingPrompt]:
    """The prompts of a whole training run, in order.

    The problems are gone through again and again, each time in a new random order; a problem met for the k-th time with
    its team shows its k-th tuple. Solo prompts, and refreshed and hostile ones among the others, are spread evenly: of
    every n prompts in a row, the share is met to within one. Refreshed prompts hold no hostile proposal.

    Args:
        weights: problem id -> how often it is met with its team, relative to the others; None is equally often.
            Solo prompts are never weighed, and have passes of their own then.
    Raises:
        ValueError: no problems, or one without a tuple although a team is used.
    """
    if num_prompts and not problems:
        raise ValueError("there are no training problems to plan with")
    rng = random.Random(derive_seed(seed, "plan"))
    tuples = {problem.id: rng.sample(list(choices), len(choices)) for problem, choices in problems}
    shown = dict.fromkeys(tuples, 0)
    asked = [problem for problem, _ in problems]
    with_team = _passes(asked, rng, weights)
    alone = with_team if weights is None else _passes(asked, random.Random(derive_seed(seed, "plan", "solo")))
    changed = _TeamDraw(teams, random.Random(derive_seed(seed, "plan", "teams")))
    plan: list[TrainingPrompt] = []
    num_refreshed = num_offline = 0
    while len(plan) < num_prompts:
        if not use_team or _due(len(plan), solo_share):
            plan.append(TrainingPrompt(next(alone)))
            continue
        problem = next(with_team)
        choices = tuples[problem.id]
        if not choices:
            raise ValueError(f"problem {problem.id} has no tuple of proposals")
        chosen = choices[shown[problem.id] % len(choices)]
        shown[problem.id] += 1
        refresh = _due(num_refreshed + num_offline, refresh_share)
        team = changed.of(problem, chosen, hostile=not refresh and _due(num_offline, teams.hostile_share))
        num_refreshed, num_offline = num_refreshed + refresh, num_offline + (not refresh)
        plan.append(TrainingPrompt(problem, team.proposals, team.num_correct, refresh, team.hostile))
    return plan


def _passes(
    problems: Sequence[Problem], rng: random.Random, weights: Mapping[str, float] | None = None
) -> Iterator[Problem]:
    """The problems again and again, each time in a new random order.

    With weights, one of weight w is met in a share w / max(w) of the passes: it gains that much credit a pass, from a
    random start on, and is due whenever it has 1 (systematic sampling).
    """
    highest = max(weights[problem.id] for problem in problems) if weights else 1.0
    credit = {problem.id: rng.random() for problem in problems} if weights else {}
    while True:
        for problem in rng.sample(list(problems), len(problems)):
            if weights:
                credit[problem.id] += weights[problem.id] / highest
                if credit[problem.id] < 1:
                    continue
                credit[problem.id] -= 1
            yield problem


@dataclass(slots=True)
class _TeamDraw:
    """Draws what `Teams` says for one prompt after the other."""

    teams: Teams
    rng: random.Random
    sizes: list[int] = field(default_factory=list)

    def of(self, problem: Problem, team: ProposalTuple, *, hostile: bool) -> ProposalTuple:
        """The team of this prompt."""
        if self.teams.sizes == "random":
            if not self.sizes:
                self.sizes = self.rng.sample(range(1, len(team.proposals) + 1), len(team.proposals))
            team = some_of(team, self.sizes.pop(), self.rng)
        if hostile:
            if self.teams.claim is None:
                raise ValueError("hostile proposals are planned, but no claim was given")
            team = with_hostile(team, self.teams.claim(problem), self.rng)
        return reordered(team, self.rng) if self.teams.shuffle_order else team


def _due(index: int, share: float) -> bool:
    """Is the event with this share due at `index`, if spread evenly? The tolerance keeps 0.1 * 10 from being 0.999."""
    return int((index + 1) * share + 1e-9) > int(index * share + 1e-9)


def num_planned_prompts(config: TrainMlpoConfig) -> int:
    """How many prompts a run goes through: a batch of roll-outs serves `updates_per_batch` steps."""
    return math.ceil(config.steps / config.updates_per_batch) * config.prompts_per_step


def num_sft_steps(num_demonstrations: int, config: TrainSftConfig) -> int:
    """Optimizer steps for so many demonstrations, those of later epochs counted again."""
    return math.ceil(num_demonstrations / config.batch_size)

"""What the steps of a study cost, estimated from parameters: completions, examples and seconds.

Seconds are those of the embedded model on a core of an Intel Xeon with AMX, in bfloat16 (two cores at work, their wall
seconds twice), and only weigh steps against each other: while a study runs, what its finished steps took corrects them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlpo.config import Params

SECONDS = {
    "proposal": 0.05,
    "own sample": 0.055,
    "demonstration": 0.38,
    "roll-out": 0.27,
    "completion": 0.17,
}
"""Of one each, with the parameters of params.yaml."""
START_SECONDS = 25.0
"""A step's own: DVC, imports, loading a model, writing a leader or a report."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a step takes."""

    completions: int = 0
    """Completions of agents and leaders, roll-outs included."""
    examples: int = 0
    """Demonstrations trained on."""
    seconds: float = 0.0
    """On one core, with the embedded model."""

    def __add__(self, other: Cost) -> Cost:
        """The cost of both."""
        return Cost(self.completions + other.completions, self.examples + other.examples, self.seconds + other.seconds)


def training_cost(params: Params, stages: Sequence[str]) -> Cost:
    """The cost of the stages before `evaluate`."""
    train, asked_once = params.prepare.num_train, params.prepare.num_calibration + params.prepare.num_test
    cost = Cost(seconds=START_SECONDS)
    for stage in stages:
        if stage.startswith("propose@"):
            cost += _completions(train * params.propose.samples + asked_once, "proposal")
        elif stage == "demonstrate":
            cost += _completions(train * params.demonstrate.leader_samples, "own sample")
        elif stage == "train_sft":
            shown = params.demonstrate.max_demonstrations * params.train_sft.epochs
            cost += Cost(0, shown, shown * SECONDS["demonstration"])
        elif stage == "train_mlpo":
            config = params.train_mlpo
            prompts = -(-config.steps // config.updates_per_batch) * config.prompts_per_step
            cost += _completions(prompts * config.group_size, "roll-out")
            cost += _completions(round(prompts * config.rounds_in_training) * len(params.team), "completion")
    return cost


class EvaluationCosts:
    """Evaluations one after the other: what an earlier one asked is kept and costs nothing."""

    def __init__(self) -> None:
        self._rounds: dict[tuple[str, ...], int] = {}

    def cost(self, params: Params, team: str, leaders: Mapping[str, str]) -> Cost:
        """What is new in this evaluation.

        Args:
            team: what identifies problems and team.
            leaders: untrained, sft, mlpo -> what identifies the weights.
        """
        rounds, new = params.rounds, 0
        samples = rounds.agreement_samples
        form = (
            team,
            rounds.share,
            str(samples),
            str(rounds.tell_certainty),
            str(rounds.max_draft_tokens),
            str(params.seed),
        )
        for kind in params.evaluate.leaders:
            who = (leaders[kind], *form)
            before = self._rounds.get(who, 0)
            asked = max(rounds.num_rounds - before, 0)
            new += asked * (len(params.team) * samples + 1) - (len(params.team) if before == 0 else 0)
            new += kind != "untrained" and before == 0
            self._rounds[who] = max(before, rounds.num_rounds)
        return _completions(new * params.prepare.num_test, "completion") + Cost(seconds=START_SECONDS)


def _completions(number: int, kind: str) -> Cost:
    return Cost(number, 0, number * SECONDS[kind])

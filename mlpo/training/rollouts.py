"""Roll-outs: the leader answers every planned prompt G times, and each completion gets its reward.

Stateless: a completion follows from the weights, its prompt and (seed, step, slot, index) alone, so a resumed run draws
what the unbroken one would have drawn.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mlpo.method.answers import parse_answer
from mlpo.method.rewards import RewardParts
from mlpo.method.seeds import derive_seed
from mlpo.models.chat_template import render
from mlpo.models.generate import Draw, Drawn
from mlpo.training.distributed import ALONE, Ranks
from mlpo.training.prompt_schedule import TrainingPrompt
from mlpo.training.sampler import Sampler
from mlpo.types import FinishReason, Problem, Sampling

Score = Callable[[str, FinishReason, Problem], RewardParts]
"""text, finish reason, problem -> reward parts; what it raises excludes the completion."""
Refresh = Callable[[Sequence[TrainingPrompt], Sequence[str]], Sequence[TrainingPrompt]]
"""prompts, the leader's drafts -> the same prompts with new proposals: one more round, with the agents' help."""

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class RolloutGroup:
    """The G completions of one prompt."""

    prompt: TrainingPrompt
    prompt_tokens: tuple[int, ...]
    drawn: tuple[Drawn, ...]
    rewards: tuple[RewardParts | None, ...]
    """One per completion; None where the reward raised."""


@dataclass(frozen=True)
class Roller:
    """How roll-outs are made."""

    group_size: int
    sampling: Sampling
    seed: int
    score: Score
    refresh: Refresh | None = None

    def roll_out(
        self, sampler: Sampler, prompts: Sequence[TrainingPrompt], step: int, ranks: Ranks = ALONE
    ) -> list[RolloutGroup]:
        """Sample and score a group for each prompt, in order; each process does its share, and gets all groups."""
        prompts = self._refreshed(sampler, prompts, step, ranks)
        slots = ranks.share(len(prompts))
        tokens = [render(sampler.tokenizer, prompts[slot].messages) for slot in slots]
        draws = [
            Draw(ids, self.sampling, derive_seed(self.seed, "rollout", step, slot, index))
            for slot, ids in zip(slots, tokens, strict=True)
            for index in range(self.group_size)
        ]
        drawn = sampler.sample(draws)
        groups = {}
        for place, (slot, ids) in enumerate(zip(slots, tokens, strict=True)):
            group = tuple(drawn[place * self.group_size : (place + 1) * self.group_size])
            rewards = tuple(self._reward(d, prompts[slot].problem) for d in group)
            groups[slot] = RolloutGroup(prompts[slot], ids, group, rewards)
        return ranks.gather(groups)

    def _refreshed(
        self, sampler: Sampler, prompts: Sequence[TrainingPrompt], step: int, ranks: Ranks
    ) -> Sequence[TrainingPrompt]:
        """Where a prompt asks for it, the agents answer again, to the current leader's draft; one process asks them."""
        slots = [slot for slot, p in enumerate(prompts) if p.refresh]
        if not slots:
            return prompts
        mine = slots[ranks.rank :: ranks.count]
        draws = [
            Draw(
                render(sampler.tokenizer, prompts[slot].messages),
                self.sampling,
                derive_seed(self.seed, "draft", step, slot),
            )
            for slot in mine
        ]
        drawn = sampler.sample(draws)
        drafts = ranks.gather({slot: d.text for slot, d in zip(mine, drawn, strict=True)})
        answered = ranks.from_main(lambda: self._asked([prompts[slot] for slot in slots], drafts))
        renewed = dict(zip(slots, answered, strict=True))
        return [renewed.get(slot, prompt) for slot, prompt in enumerate(prompts)]

    def _asked(self, prompts: Sequence[TrainingPrompt], drafts: Sequence[str]) -> Sequence[TrainingPrompt]:
        if self.refresh is None:
            raise ValueError("the plan refreshes proposals, but no agents were given to ask")
        return self.refresh(prompts, drafts)

    def _reward(self, drawn: Drawn, problem: Problem) -> RewardParts | None:
        try:
            return self.score(drawn.text, drawn.finish_reason, problem)
        except Exception as error:  # noqa: BLE001 - whatever one answer does to its grader, it costs one completion
            reason = f"{type(error).__name__}: {error}"
            logging.getLogger(__name__).warning("problem %s: the reward raised %s", problem.id, reason)
            return None


def reward_totals(groups: Sequence[RolloutGroup], format_weight: float) -> Tensor:
    """[prompts, group] rewards, float32; NaN where the reward raised."""
    totals = [[NAN if r is None else r.total(format_weight) for r in group.rewards] for group in groups]
    return torch.tensor(totals, dtype=torch.float32)


def rollout_metrics(groups: Sequence[RolloutGroup], rewards_PG: Tensor, signal_P: Tensor) -> dict[str, float]:
    """What a step's roll-outs say, as means over its completions; what nothing can be said of is absent."""
    drawn = [(g, d, r) for g in groups for d, r in zip(g.drawn, g.rewards, strict=True)]
    known = [(g, r) for g, _, r in drawn if r is not None]
    metrics = {
        "reward": _mean(rewards_PG[~rewards_PG.isnan()].tolist()),
        "correct": _mean([r.correct for _, r in known]),
        "well_formed": _mean([r.well_formed for _, r in known]),
        "correct_team": _mean([r.correct for g, r in known if g.prompt.proposals]),
        "correct_solo": _mean([r.correct for g, r in known if not g.prompt.proposals]),
        "zero_signal_share": 1 - float(signal_P.float().mean()),
        "truncated_rate": _mean([float(d.finish_reason == "length") for _, d, _ in drawn]),
        "invalid_rate": _mean([float(_answer(d, g.prompt.problem) is None) for g, d, _ in drawn]),
        "reward_error_rate": 1 - len(known) / len(drawn),
        "completion_tokens": _mean([float(len(d.token_ids)) for _, d, _ in drawn]),
    }
    return {name: value for name, value in metrics.items() if value == value}  # NaN: nothing to take a mean of


def _answer(drawn: Drawn, problem: Problem) -> str | None:
    if drawn.finish_reason != "stop":
        return None
    return parse_answer(drawn.text, problem.answer_kind, problem.choices)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else NAN

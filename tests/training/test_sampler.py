"""The seam to whoever draws the roll-outs: any `Sampler` will do, and what it says of its tokens is compared."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mlpo.config import RuntimeConfig, TrainMlpoConfig
from mlpo.method.rewards import RewardParts
from mlpo.method.seeds import derive_seed
from mlpo.models.chat_template import render
from mlpo.models.generate import Draw, Drawn
from mlpo.models.load import LoadedModel
from mlpo.models.packed import Group, pack, packed_logprobs
from mlpo.training import mlpo
from mlpo.training.distributed import ALONE
from mlpo.training.local_sampler import OwnSampler
from mlpo.training.micro_batches import make_parts, part_loss
from mlpo.training.mlpo import train_mlpo
from mlpo.training.prompt_schedule import TrainingPrompt
from mlpo.training.rollouts import Roller, reward_totals
from mlpo.training.run_folder import RunFolder
from mlpo.training.vllm_sampler import why_not_vllm
from mlpo.training.weights import WholeWeights
from mlpo.types import Problem, Sampling

MakePrompts = Callable[[int], list[TrainingPrompt]]
SAMPLING = Sampling(1.0, 1.0, 6)


def score(text: str, finish_reason: str, problem: Problem) -> RewardParts:
    return RewardParts(float(text[:1].isalpha()), float(text[-1:].isalpha()))


def whole(leader: LoadedModel) -> WholeWeights:
    return WholeWeights(leader, torch.float32, ALONE)


class Counting:
    """Says the place of each draw in the call, and remembers what it was asked."""

    def __init__(self, leader: LoadedModel) -> None:
        self.tokenizer, self.asked = leader.tokenizer, list[Draw]()

    def refresh(self) -> None: ...

    def sample(self, draws: Sequence[Draw]) -> list[Drawn]:
        self.asked += draws
        return [Drawn((place + 3,), "stop", f"answer {place}") for place in range(len(draws))]

    def close(self) -> None: ...


def test_any_sampler_is_asked_for_every_prompts_group_in_order(tiny: LoadedModel, make_prompts: MakePrompts) -> None:
    sampler, prompts = Counting(tiny), make_prompts(2)
    groups = Roller(3, SAMPLING, 7, score).roll_out(sampler, prompts, step=5)
    assert [d.prompt for d in sampler.asked] == [render(tiny.tokenizer, p.messages) for p in prompts for _ in range(3)]
    assert [d.seed for d in sampler.asked] == [
        derive_seed(7, "rollout", 5, slot, i) for slot in (0, 1) for i in range(3)
    ]
    assert [[d.text[-1] for d in group.drawn] for group in groups] == [["0", "1", "2"], ["3", "4", "5"]]
    assert [group.prompt for group in groups] == prompts


class Off(OwnSampler):
    """Our sampler, that also says each token's log-probability: 0.25 too high, and by 0.5 for the first of all.

    The second completion is cut, so that lengths differ.
    """

    leader: LoadedModel

    def sample(self, draws: Sequence[Draw]) -> list[Drawn]:
        drawn = super().sample(draws)
        drawn[1] = replace(drawn[1], token_ids=drawn[1].token_ids[:2])
        told = []
        for draw, one in zip(draws, drawn, strict=True):
            (batch,) = pack([Group(draw.prompt, (one.token_ids,))], 999)
            with torch.no_grad():
                found = packed_logprobs(self._weights.model, batch, temperature=draw.sampling.temperature)
            told.append(replace(one, logprobs=tuple((found.logprobs_NT[0] + 0.25).tolist())))
        first = told[0].logprobs
        assert first is not None
        told[0] = replace(told[0], logprobs=(first[0] + 0.25, *first[1:]))
        return told


def test_the_first_update_on_a_batch_compares_log_probabilities(tiny: LoadedModel, make_prompts: MakePrompts) -> None:
    config = TrainMlpoConfig(group_size=4, max_completion_tokens=6, temperature=0.8)
    roller = Roller(4, replace(SAMPLING, temperature=0.8), 7, score)
    groups = roller.roll_out(Off(whole(tiny), 4096), make_prompts(2), step=1)
    rewards_PG = reward_totals(groups, config.format_weight)
    (part,) = make_parts(groups, rewards_PG, config, 4096, tiny.device)
    differences = part_loss(tiny.model, None, part, config).differences
    assert differences is not None
    assert len(differences) == sum(len(d.token_ids) for group in groups for d in group.drawn)  # no padding
    assert sorted(differences.tolist())[-1] == pytest.approx(0.5, abs=1e-4)
    torch.testing.assert_close(
        differences.sort().values[:-1], torch.full((len(differences) - 1,), 0.25), atol=1e-4, rtol=0
    )
    assert part_loss(tiny.model, None, part, config).differences is None  # the weights may be others by now


def test_without_word_from_the_sampler_nothing_is_compared(tiny: LoadedModel, make_prompts: MakePrompts) -> None:
    config = TrainMlpoConfig(group_size=4, max_completion_tokens=6)
    groups = Roller(4, SAMPLING, 7, score).roll_out(OwnSampler(whole(tiny), 4096), make_prompts(2), step=1)
    (part,) = make_parts(groups, reward_totals(groups, config.format_weight), config, 4096, tiny.device)
    assert part_loss(tiny.model, None, part, config).differences is None


def test_a_run_logs_the_differences_mean_and_maximum(
    tiny: LoadedModel, make_prompts: MakePrompts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = []

    class Closing(Off):
        def close(self) -> None:
            closed.append(True)

    monkeypatch.setattr(mlpo, "make_sampler", lambda weights, *_: Closing(weights, 4096))
    config = TrainMlpoConfig(
        steps=4, prompts_per_step=2, group_size=4, max_completion_tokens=6, rollout_engine="vllm", updates_per_batch=2,
        learning_rate=0.01, max_logprob_difference=1.0,
    )  # fmt: skip
    logged: dict[int, Any] = {}
    train_mlpo(
        tiny, make_prompts(4), config, roller=Roller(4, SAMPLING, 7, score), runtime=RuntimeConfig(),
        run_folder=RunFolder(tmp_path), log=lambda metrics, step: logged.update({step: metrics}), ranks=ALONE,
    )  # fmt: skip
    curve = RunFolder(tmp_path).curve.rows()
    assert [row["rollout_logprob_difference_max"] for row in curve] == pytest.approx([0.5] * 4, abs=1e-4)
    # one token of a batch is off by 0.25 more than the others
    assert all(0.25 < row["rollout_logprob_difference"] <= 0.25 + 0.25 / 8 for row in curve)
    assert logged[1]["rollout_logprob_difference"] == pytest.approx(curve[0]["rollout_logprob_difference"], rel=1e-5)
    assert closed == [True]


@pytest.mark.parametrize(
    ("device", "said"), [("cuda:1", "CUDA_VISIBLE_DEVICES=1"), ("cuda:0", ""), ("cuda", ""), ("cpu", ""), ("auto", "")]
)
def test_vllm_is_refused_on_a_device_it_cannot_be_given(
    device: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert said in " ".join(why_not_vllm(RuntimeConfig(device=device)))
    assert bool(said) == bool([*why_not_vllm(RuntimeConfig(device=device))])


def test_a_missing_vllm_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    (said,) = why_not_vllm(RuntimeConfig())
    assert "pip install 'mlpo[gpu]'" in said

"""The trainer against the objective: one run of TRL's loop, checked at every step against the naive computation."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel
from trl import GRPOTrainer

from mlpo.config import ConfigError, LoraConfig, RuntimeConfig, TrainMlpoConfig
from mlpo.method.objective import group_advantages, policy_loss
from mlpo.method.rewards import RewardParts
from mlpo.models.load import LoadedModel, load_model
from mlpo.training.guards import TrainingStopped
from mlpo.training.micro_batches import part_loss
from mlpo.training.mlpo import MlpoTrainer, train_mlpo
from mlpo.training.prompt_schedule import TrainingPrompt, num_planned_prompts
from mlpo.training.rollouts import Roller, RolloutGroup, reward_totals
from mlpo.training.run_folder import RunFolder
from mlpo.types import Problem, Sampling

MakePrompts = Callable[[int], list[TrainingPrompt]]


def score(text: str, finish_reason: str, problem: Problem) -> RewardParts:
    """Digits are right, letters are well-formed: a random model gets some of each. Problem p1 is hopeless."""
    if problem.id == "p1" or not text:
        return RewardParts(0.0, 0.0)
    return RewardParts(float(text[0].isdigit() or text[0] in "abcdef"), float(text[-1].isalpha()))


def configured(**changes: Any) -> TrainMlpoConfig:
    """Four prompts of four completions, and steps so large that the second update's ratios are clipped."""
    values = {
        "steps": 2, "prompts_per_step": 4, "group_size": 4, "max_completion_tokens": 6, "learning_rate": 0.02,
        "max_grad_norm": 1e6,
    }  # fmt: skip
    return TrainMlpoConfig(**values | changes)


def make_trainer(
    kind: type[MlpoTrainer], leader: LoadedModel, prompts: list[TrainingPrompt], config: TrainMlpoConfig, folder: Path,
    budget: int = 4096, **options: Any,
) -> Any:  # fmt: skip
    sampling = Sampling(config.temperature, 1.0, config.max_completion_tokens)
    return kind(
        leader,
        prompts,
        config,
        roller=Roller(config.group_size, sampling, 7, score),
        runtime=RuntimeConfig(micro_batch_tokens=budget),
        run_folder=RunFolder(folder),
        on_step=lambda metrics: None,
        **options,
    )


def naive_logprobs(model: PreTrainedModel, groups: list[RolloutGroup], temperature: float, width: int) -> Tensor:
    """[completions, width]: every completion behind its own prompt, one forward pass each, no packing and no cache."""
    rows = []
    for group in groups:
        for drawn in group.drawn:
            ids = torch.tensor([[*group.prompt_tokens, *drawn.token_ids]])
            start = len(group.prompt_tokens)
            logits = model(ids).logits[0, start - 1 : -1] / temperature
            logprobs = logits.log_softmax(-1).gather(-1, ids[0, start:, None])[:, 0]
            rows.append(torch.nn.functional.pad(logprobs, (0, width - len(logprobs))))
    return torch.stack(rows)


class Checked(MlpoTrainer):
    """Compares every training step, loss and gradients, with the objective on the whole batch at once."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.before: Any = copy.deepcopy(args[0].model)
        self.num_parts: list[int] = []
        self.clipped: list[float] = []
        super().__init__(*args, **kwargs)

    def _rolled_out(self, prompts: Any) -> list[RolloutGroup]:
        self.groups = super()._rolled_out(prompts)
        self.old: Tensor | None = None
        return self.groups

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Tensor:
        found = super().training_step(model, inputs, num_items_in_batch)
        grads = {name: p.grad for name, p in self.weights.model.named_parameters()}
        config, width = self._config, self._config.max_completion_tokens
        twin = copy.deepcopy(self.before)  # not of the model itself: TRL has patched that one's forward
        twin.load_state_dict(self.weights.model.state_dict())
        rewards_PG = reward_totals(self.groups, config.format_weight)
        logprobs = naive_logprobs(twin, self.groups, config.temperature, width)
        lengths = torch.tensor([len(d.token_ids) for g in self.groups for d in g.drawn])
        # Groups of equal rewards are skipped: no policy gradient, and no KL either.
        signal = torch.tensor([len(set(row)) > 1 for row in rewards_PG.tolist()]).repeat_interleave(config.group_size)
        mask = (torch.arange(width)[None] < lengths[:, None]) & signal[:, None]
        self.old = logprobs.detach() if self.old is None else self.old
        with torch.no_grad():
            reference = naive_logprobs(self.before, self.groups, config.temperature, width)
        expected = policy_loss(
            logprobs, self.old, group_advantages(rewards_PG, scale=config.scale_rewards).flatten(), mask,
            num_completions=len(mask), max_completion_tokens=width, loss_type=config.loss_type,
            epsilon_low=config.epsilon_low, epsilon_high=config.epsilon_high, beta=config.beta,
            reference_logprobs_NT=reference,
        )  # fmt: skip
        expected.loss.backward()
        torch.testing.assert_close(found, expected.loss.detach(), atol=1e-5, rtol=1e-5)
        for name, weight in twin.named_parameters():
            torch.testing.assert_close(grads[name], weight.grad, atol=1e-5, rtol=1e-4, msg=name)
        assert any(g.abs().max() > 1e-3 for g in grads.values())  # else everything would be equal
        self.num_parts.append(len(self._parts or []))
        self.clipped.append(float(expected.num_clipped))
        return found


# Two values of each of six switches. The first eight rows hold every pair of values of every two switches; the rest of
# the 64 combinations is slow.
COVERING = [(a, b, c, a ^ b, a ^ c, b ^ c) for a, b, c in itertools.product((0, 1), repeat=3)]
EVERY = sorted(itertools.product((0, 1), repeat=6), key=lambda row: row not in COVERING)
SWITCHES = [
    pytest.param(row, marks=() if row in COVERING else pytest.mark.slow, id="".join(map(str, row))) for row in EVERY
]


@pytest.mark.parametrize("switches", SWITCHES)
def test_the_trainers_loss_and_gradients_are_the_objectives(
    tiny: LoadedModel, make_prompts: MakePrompts, tmp_path: Path, switches: tuple[int, ...]
) -> None:
    loss_type, scale, beta, clip, updates, budget = switches
    config = configured(
        loss_type=("dr_grpo", "grpo")[loss_type],
        scale_rewards=bool(scale),
        beta=(0.0, 0.3)[beta],
        epsilon_low=(0.2, 0.05)[clip],
        epsilon_high=(0.2, 0.4)[clip],
        updates_per_batch=(1, 2)[updates],
    )
    budget = (4096, 200)[budget]  # one part, or several whose gradients are added up
    trainer = make_trainer(Checked, tiny, make_prompts(num_planned_prompts(config)), config, tmp_path, budget)
    trainer.train()
    assert len(trainer.num_parts) == 2
    assert (max(trainer.num_parts) > 1) == (budget == 200)
    assert (trainer.clipped[1] > 0) == (config.updates_per_batch == 2)


class AgainstTrl(MlpoTrainer):
    """Compares every training step with the loss and the gradients that TRL itself would have computed."""

    def _rolled_out(self, prompts: Any) -> list[RolloutGroup]:
        self.groups = super()._rolled_out(prompts)
        return self.groups

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Tensor:
        found = super().training_step(model, inputs, num_items_in_batch)
        drawn = [(g.prompt_tokens, d.token_ids) for g in self.groups for d in g.drawn]
        rewards_PG = reward_totals(self.groups, self._config.format_weight)
        prompts = [torch.tensor(p).flip(0) for p, _ in drawn]  # padded left
        completions = [torch.tensor(c) for _, c in drawn]
        batch = {}
        for name, ids, left in (("prompt", prompts, True), ("completion", completions, False)):
            padded = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True)
            mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(i) for i in ids], batch_first=True)
            batch[f"{name}_ids"], batch[f"{name}_mask"] = (t.flip(1) if left else t for t in (padded, mask))
        batch["advantages"] = group_advantages(rewards_PG, scale=self._config.scale_rewards).flatten()
        ours = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
        model.zero_grad()
        theirs = GRPOTrainer._compute_loss(self, model, batch)
        theirs.backward()
        torch.testing.assert_close(found, theirs.detach(), atol=1e-5, rtol=1e-4)
        weights = dict(model.named_parameters())
        assert ours.keys() == {name for name, weight in weights.items() if weight.requires_grad}
        for name, grad in ours.items():
            torch.testing.assert_close(grad, weights[name].grad, atol=1e-5, rtol=1e-4, msg=name)
        assert any(g.abs().max() > 1e-3 for g in ours.values())
        return found


@pytest.mark.parametrize("loss_type", ["dr_grpo", "grpo"])
@pytest.mark.parametrize("scale", [False, True])
def test_loss_and_gradients_are_trls_own(
    tiny: LoadedModel, make_prompts: MakePrompts, tmp_path: Path, loss_type: Any, scale: bool
) -> None:
    config = configured(steps=1, loss_type=loss_type, scale_rewards=scale, temperature=0.8)
    make_trainer(AgainstTrl, tiny, make_prompts(4), config, tmp_path).train()


@pytest.mark.slow
def test_adapters_have_trls_loss_and_gradients_too(
    tiny: LoadedModel, make_prompts: MakePrompts, tmp_path: Path
) -> None:
    # at step 1 B is 0, so A has no gradient yet; at step 2 both have
    config = configured(steps=2, lora=LoraConfig(rank=2), learning_rate=0.01)
    make_trainer(AgainstTrl, tiny, make_prompts(8), config, tmp_path).train()


def run(
    leader: LoadedModel, prompts: list[TrainingPrompt], folder: Path, *, reward: Any = score, log: Any = None,
    refresh: Any = None, **changes: Any,
) -> RunFolder:  # fmt: skip
    config = configured(**{"learning_rate": 0.001} | changes)
    run_folder = RunFolder(folder / "run")
    sampling = Sampling(config.temperature, 1.0, config.max_completion_tokens)
    train_mlpo(
        leader, prompts, config, roller=Roller(config.group_size, sampling, 7, reward, refresh),
        runtime=RuntimeConfig(micro_batch_tokens=1024), run_folder=run_folder, log=log or (lambda metrics, step: None),
    )  # fmt: skip
    return run_folder


def test_a_run_tells_what_it_did_and_repeats_itself(
    tiny: LoadedModel, tiny_folder: Path, make_prompts: MakePrompts, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    logged: dict[int, Any] = {}
    run_folder = run(tiny, make_prompts(8), tmp_path / "a", log=lambda metrics, step: logged.update({step: metrics}))
    curve, rollouts = run_folder.curve.rows(), run_folder.rollouts.rows()
    assert [row["step"] for row in curve] == [1, 2] == list(logged)
    assert len(rollouts) == 2 * 4 * 4
    assert {row["tuple"] for row in rollouts} == {"geo:0 number:0 word:0", "solo"}
    first = [row for row in rollouts if row["step"] == 1]
    assert curve[0]["correct"] == pytest.approx(sum(row["correct"] for row in first) / 16)
    assert curve[0]["truncated_rate"] == pytest.approx(sum(row["finish_reason"] == "length" for row in first) / 16)
    assert {"rollout_tokens_per_second", "update_tokens_per_second", "peak_memory_mib"} <= set(logged[1])
    assert not [name for name in curve[0] if name.endswith(("seconds", "second", "mib"))]
    printed = capfd.readouterr()
    assert "train_mlpo: 2 of 2 steps" in printed.out
    assert not printed.err
    again = load_model(str(tiny_folder), device="cpu", dtype="float32")
    second = run(again, make_prompts(8), tmp_path / "b")
    assert (second.curve.rows(), second.rollouts.rows()) == (curve, rollouts)
    for one, other in zip(tiny.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_plan_is_followed_in_order(tiny: LoadedModel, make_prompts: MakePrompts, tmp_path: Path) -> None:
    rows = run(tiny, make_prompts(8), tmp_path).rollouts.rows()
    assert [row["problem"] for row in rows] == [f"p{i}" for i in range(8) for _ in range(4)]
    assert [row["prompt"] for row in rows[::4]] == [0, 1, 2, 3] * 2


@pytest.mark.parametrize(
    ("schedule", "rates"),
    # one step of rise, then 3 that are left: 3/3, 2/3, 1/3
    [("constant", [0.0015, 0.003, 0.003, 0.003]), ("linear", [0.0015, 0.003, 0.002, 0.001])],
)
def test_after_its_rise_the_rate_stays_or_falls(
    tiny: LoadedModel, make_prompts: MakePrompts, tmp_path: Path, schedule: str, rates: list[float]
) -> None:
    options = {"steps": 4, "warmup_steps": 1, "learning_rate": 0.003}
    curve = run(tiny, make_prompts(16), tmp_path, schedule=schedule, **options).curve.rows()
    assert [row["learning_rate"] for row in curve] == pytest.approx(rates)


def test_two_updates_share_one_batch_of_rollouts(tiny: LoadedModel, make_prompts: MakePrompts, tmp_path: Path) -> None:
    run_folder = run(tiny, make_prompts(8), tmp_path, steps=3, updates_per_batch=2)
    assert [row["step"] for row in run_folder.rollouts.rows()[::16]] == [1, 3]
    assert [row["step"] for row in run_folder.curve.rows()] == [1, 2, 3]


def test_a_batch_without_signal_changes_nothing(tiny: LoadedModel, make_prompts: MakePrompts, tmp_path: Path) -> None:
    before = [p.clone() for p in tiny.model.parameters()]
    run_folder = run(tiny, make_prompts(8), tmp_path, reward=lambda text, reason, problem: RewardParts(1.0, 1.0))
    assert all(torch.equal(a, b) for a, b in zip(before, tiny.model.parameters(), strict=True))
    assert [row["zero_signal_share"] for row in run_folder.curve.rows()] == [1.0, 1.0]
    assert "entropy" not in run_folder.curve.rows()[0]


def test_a_reward_that_raises_is_left_out_and_counted(
    tiny: LoadedModel, make_prompts: MakePrompts, tmp_path: Path
) -> None:
    calls = itertools.count()

    def sometimes(text: str, reason: str, problem: Problem) -> RewardParts:
        if next(calls) % 8 == 0:
            raise ZeroDivisionError("grader")
        return score(text, reason, problem)

    run_folder = run(tiny, make_prompts(4), tmp_path, reward=sometimes, steps=1, max_reward_errors=0.2)
    missing = [row for row in run_folder.rollouts.rows() if row["reward"] is None]
    assert len(missing) == 2
    assert {row["advantage"] for row in missing} == {0.0}
    (curve,) = run_folder.curve.rows()
    assert curve["reward_error_rate"] == pytest.approx(2 / 16)
    assert all(math.isfinite(value) for value in curve.values())


def test_a_run_that_learns_nothing_is_stopped_and_its_rollouts_kept(
    tiny: LoadedModel, make_prompts: MakePrompts, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(TrainingStopped, match=r"step 3: no completion was correct.*train_sft.epochs.*run-stopped"):
        run(
            tiny, make_prompts(40), tmp_path, steps=10, max_zero_reward_steps=3,
            reward=lambda text, reason, problem: RewardParts(0.0, float(len(text) > 3)),
        )  # fmt: skip
    assert "warning: step 2: no completion was correct" in capsys.readouterr().out
    assert (tmp_path / "run-stopped" / "rollouts.jsonl").exists()
    assert not (tmp_path / "run").exists()


def test_frozen_layers_stay_as_they_were(tiny: LoadedModel, make_prompts: MakePrompts, tmp_path: Path) -> None:
    before = {name: p.clone() for name, p in tiny.model.named_parameters()}
    run(tiny, make_prompts(8), tmp_path, trainable_layers=1, beta=0.1)
    changed = {name for name, p in tiny.model.named_parameters() if not torch.equal(p, before[name])}
    assert changed
    assert all(name.startswith(("model.layers.1.", "model.norm")) for name in changed)


@pytest.mark.slow
def test_adapters_are_merged_and_the_reference_has_none_of_what_they_learn(
    tiny: LoadedModel, tiny_folder: Path, make_prompts: MakePrompts, tmp_path: Path
) -> None:
    before = {name: p.clone() for name, p in tiny.model.named_parameters()}
    lora = LoraConfig(rank=2, target_modules=("v_proj",))
    run_folder = run(tiny, make_prompts(12), tmp_path, lora=lora, beta=0.1, learning_rate=0.05, steps=3)
    after = dict(tiny.model.named_parameters())
    assert {name for name, p in after.items() if not torch.equal(p, before[name])} == {
        f"model.layers.{layer}.self_attn.v_proj.weight" for layer in (0, 1)
    }
    first, *_, last = run_folder.curve.rows()
    assert first["kl"] == pytest.approx(0, abs=1e-6)
    assert last["kl"] > 1e-4


def test_refreshed_prompts_show_the_agents_answer_to_the_current_draft(
    tiny: LoadedModel, make_prompts: MakePrompts, tmp_path: Path
) -> None:
    asked: list[str] = []

    def refresh(prompts: Any, drafts: Any) -> list[TrainingPrompt]:
        asked.extend(drafts)
        return [replace(p, proposals=tuple(replace(c, text="new") for c in p.proposals)) for p in prompts]

    prompts = [replace(p, refresh=i == 1) for i, p in enumerate(make_prompts(4))]
    rows = run(tiny, prompts, tmp_path, steps=1, refresh=refresh).rollouts.rows()
    assert len(asked) == 1
    assert asked[0]
    assert rows[4]["proposals"] == ["geo: new", "number: new", "word: new"]
    assert rows[0]["proposals"] == ["geo: 1", "number: 0", "word: no idea"]


def test_a_prompt_that_cannot_fit_is_refused_before_the_run(
    tiny: LoadedModel, make_prompts: MakePrompts, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"8 of 8 prompts .* pass 512 tokens .* leader's context"):
        run(tiny, make_prompts(8), tmp_path, max_completion_tokens=500)
    assert not list(tmp_path.rglob("*"))


class InBfloat16(MlpoTrainer):
    """Looks at the sampling copy and the gradients of every step."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.twin = copy.deepcopy(args[0].model)
        super().__init__(*args, **kwargs)

    def _rolled_out(self, prompts: Any) -> list[RolloutGroup]:
        groups = super()._rolled_out(prompts)
        copied = self._sampler._sampled.model
        for ours, theirs in zip(self.weights.model.parameters(), copied.parameters(), strict=True):
            assert torch.equal(ours.bfloat16(), theirs)
        for ours, theirs in zip(self.weights.model.buffers(), copied.buffers(), strict=True):
            assert torch.equal(ours, theirs)  # positions are not rounded
            assert theirs.dtype == torch.float32
        return groups

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Tensor:
        found = super().training_step(model, inputs, num_items_in_batch)
        self.twin.load_state_dict(model.state_dict())
        self.twin.zero_grad()
        for part in self._parts or []:
            part_loss(self.twin, None, replace(part, old_logprobs=None), self._config).policy.loss.backward()
        ours, exact = (torch.cat([p.grad.flatten() for p in m.parameters()]) for m in (model, self.twin))
        assert ours.dtype == torch.float32
        assert torch.cosine_similarity(ours, exact, dim=0) > 0.99
        assert not torch.equal(ours, exact)  # it was computed in bfloat16
        return found


def test_bfloat16_samples_from_a_fresh_copy_and_computes_near_float32(
    tiny: LoadedModel, make_prompts: MakePrompts, tmp_path: Path
) -> None:
    trainer = make_trainer(InBfloat16, tiny, make_prompts(8), configured(), tmp_path, compute_dtype=torch.bfloat16)
    trainer.train()
    assert trainer.state.global_step == 2
    assert {p.dtype for p in tiny.model.parameters()} == {torch.float32}

"""MLPO on TRL's GRPOTrainer: TRL drives the steps; roll-outs, packing and the objective are ours.

TRL 1.16 calls `_prepare_inputs` for a batch of prompts and `_compute_loss` for what is to be learned from it; both
are replaced here. The promise, held by a test: loss and gradients equal `mlpo.method.objective` on the whole batch,
computed without packing and in one piece.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import PrinterCallback
from trl import GRPOConfig, GRPOTrainer

from mlpo.config import RuntimeConfig, TrainMlpoConfig
from mlpo.method.objective import carries_signal, group_advantages
from mlpo.models.chat_template import render
from mlpo.models.load import LoadedModel
from mlpo.models.lora import choose_trained
from mlpo.training.checkpoints import SmallCheckpoints
from mlpo.training.distributed import ALONE, COMMUNICATION, Ranks, lost_process
from mlpo.training.fsdp import hold_weights
from mlpo.training.guards import Guards, TrainingStopped
from mlpo.training.local_sampler import make_sampler
from mlpo.training.lr_schedule import Scheduled
from mlpo.training.micro_batches import Part, check_prompt_lengths, idle_part, make_parts, part_loss
from mlpo.training.progress import Meter
from mlpo.training.prompt_schedule import TrainingPrompt
from mlpo.training.rollouts import Roller, RolloutGroup, reward_totals, rollout_metrics
from mlpo.training.run_folder import RunFolder
from mlpo.training.run_log import MLPO_COLUMNS, Log, curve_row, log_nothing, rollout_rows
from mlpo.training.trainer_setup import (
    leave_unwrapped,
    naming_the_budget,
    peak_memory_mib,
    quiet_libraries,
    rewind_once,
    settle_device,
    trainer_arguments,
)


class MlpoTrainer(Scheduled, SmallCheckpoints, GRPOTrainer):
    """GRPO on prompts that hold a team's proposals."""

    def __init__(
        self,
        leader: LoadedModel,
        plan: Sequence[TrainingPrompt],
        config: TrainMlpoConfig,
        *,
        roller: Roller,
        runtime: RuntimeConfig,
        run_folder: RunFolder,
        on_step: Callable[[dict[str, float]], None],
        compute_dtype: torch.dtype = torch.float32,
        ranks: Ranks = ALONE,
    ) -> None:
        self.ranks = ranks
        self.rate_shape = config.schedule
        self.adapters = choose_trained(leader.model, config.trainable_layers, config.lora, seed=roller.seed)
        self._config, self._roller, self._runtime = config, roller, runtime
        self._plan, self._run_folder, self._on_step = plan, run_folder, on_step
        reference = config.beta > 0
        self.weights = hold_weights(leader, compute_dtype, ranks, shard=runtime.shard, with_reference=reference)
        self._sampler = make_sampler(self.weights, config, runtime)
        self._parts: list[Part] | None = None
        self._rollout: dict[str, float] = {}
        self._sums: dict[str, float] = {}
        super().__init__(
            model=self.weights.model,
            reward_funcs=_scored_with_the_rollout,
            args=_arguments(config, run_folder, self.weights.device, compute_dtype, seed=roller.seed),
            train_dataset=Dataset.from_dict({"prompt": [""] * len(plan)}),  # TRL wants one; see get_train_dataloader
            processing_class=leader.tokenizer,
        )
        self.remove_callback(PrinterCallback)
        leave_unwrapped(self.weights.model, ranks)

    def get_train_dataloader(self) -> DataLoader[int]:
        """Whole steps, as places in the plan, the same in every process; TRL's own would deal out completions."""
        size, updates = self._config.prompts_per_step, self._config.updates_per_batch
        steps = [range(first, first + size) for first in range(0, len(self._plan), size) for _ in range(updates)]
        return DataLoader([place for step in steps for place in step], batch_size=size, collate_fn=_as_they_are)  # type: ignore[arg-type]

    def _prepare_inputs(self, generation_batch: Any) -> list[Part]:  # type: ignore[override] # what we pass on is ours
        """New roll-outs whenever the last ones are used up, else the same again."""
        if self._step % self.num_iterations == 0 or self._parts is None:
            groups = self._rolled_out([self._plan[place] for place in generation_batch])
            rewards_PG = reward_totals(groups, self._config.format_weight)
            self._record(groups, rewards_PG)
            budget = self._runtime.micro_batch_tokens
            slots, device = self.ranks.share(len(groups)), self.args.device
            parts = make_parts(groups, rewards_PG, self._config, budget, device, slots=slots)
            self._parts = self.weights.levelled(parts, lambda: idle_part(device))
        return self._parts

    def _rolled_out(self, prompts: Sequence[TrainingPrompt]) -> list[RolloutGroup]:
        began = time.perf_counter()
        self._sampler.refresh()
        groups = self._roller.roll_out(self._sampler, prompts, self.state.global_step + 1, self.ranks)
        seconds = time.perf_counter() - began
        num_tokens = sum(len(d.token_ids) for g in groups for d in g.drawn)
        self._rollout = {"rollout_seconds": seconds, "rollout_tokens_per_second": num_tokens / seconds}
        return groups

    def close_sampler(self) -> None:
        """Give back what only the roll-outs need."""
        self._sampler.close()

    def _record(self, groups: Sequence[RolloutGroup], rewards_PG: Tensor) -> None:
        advantages_PG = group_advantages(rewards_PG, scale=self._config.scale_rewards)
        rows = rollout_rows(groups, advantages_PG, rewards_PG, self.state.global_step + 1)
        if self.ranks.is_main:
            self._run_folder.rollouts.append(rows)
        self._rollout |= rollout_metrics(groups, rewards_PG, carries_signal(rewards_PG))

    def training_step(self, model: nn.Module, inputs: Any, num_items_in_batch: Any = None) -> Tensor:
        """The gradient of the whole batch, added up over its parts and over all processes."""
        parts = self._prepare_inputs(inputs)
        model.train()
        self._sums = dict.fromkeys(("tokens", "clipped", "kl", "entropy", "packed_tokens", "differing"), 0.0)
        self._worst = 0.0
        self._update_began = time.perf_counter()
        total = torch.zeros((), device=self.args.device)
        for part in parts:
            with naming_the_budget("learning", "runtime.micro_batch_tokens", self._runtime.micro_batch_tokens):
                with self.accelerator.autocast():
                    loss = self.compute_loss(model, part)
                self.accelerator.backward(loss)
            total += loss.detach()
        self._step += 1
        self.weights.sum_gradients()
        self._sums = self.ranks.totals(self._sums)
        if self._config.rollout_engine == "vllm":
            self._compare_with_the_engine()
        return self.ranks.add(total)

    def _compare_with_the_engine(self) -> None:
        """How far its log-probabilities are from ours, in the first update on a batch: later the weights are others."""
        worst = max(self.ranks.gather({self.ranks.rank: self._worst}))
        if self._sums["tokens"] and (self._step - 1) % self.num_iterations == 0:
            self._rollout["rollout_logprob_difference"] = self._sums["differing"] / self._sums["tokens"]
            self._rollout["rollout_logprob_difference_max"] = worst

    def _compute_loss(self, model: nn.Module, inputs: Part) -> Tensor:
        """One part's share of the batch's loss."""
        found = part_loss(self.weights.model, self.weights.reference, inputs, self._config)
        self._sums["tokens"] += float(found.policy.num_tokens)
        self._sums["clipped"] += float(found.policy.num_clipped)
        self._sums["kl"] += float(found.policy.kl_sum)
        self._sums["entropy"] += float(found.entropy_sum)
        self._sums["packed_tokens"] += inputs.num_tokens
        if found.differences is not None:
            self._sums["differing"] += float(found.differences.sum())
            self._worst = max(self._worst, float(found.differences.max()))
        return found.policy.loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """One step is done: hand its metrics on. TRL's closing summary is not a step."""
        if "loss" not in logs:
            return
        seconds = time.perf_counter() - self._update_began
        tokens = self._sums["tokens"]
        metrics = {"step": float(self.state.global_step), **self._rollout}
        metrics |= {name: float(logs[name]) for name in ("loss", "grad_norm", "learning_rate") if name in logs}
        if tokens:
            metrics |= {"clipped_ratio": self._sums["clipped"] / tokens, "entropy": self._sums["entropy"] / tokens}
        if tokens and self.weights.reference is not None:
            metrics["kl"] = self._sums["kl"] / tokens
        metrics |= {"update_seconds": seconds, "update_tokens_per_second": self._sums["packed_tokens"] / seconds}
        self._on_step(metrics | {"peak_memory_mib": peak_memory_mib(self.args.device)})


def train_mlpo(
    leader: LoadedModel,
    plan: Sequence[TrainingPrompt],
    config: TrainMlpoConfig,
    *,
    roller: Roller,
    runtime: RuntimeConfig,
    run_folder: RunFolder,
    log: Log = log_nothing,
    compute_dtype: torch.dtype = torch.float32,
    ranks: Ranks = ALONE,
) -> None:
    """Train the leader's float32 weights in place, going on from the run folder's checkpoint if it holds one.

    Adapters are merged at the end: what is trained has the parts it had before.

    Args:
        plan: `prompts_per_step` prompts for each batch of roll-outs, in order.
        compute_dtype: bfloat16 computes the update under autocast, and samples from a bfloat16 copy of the weights.
        ranks: this process among those that train together; all are given the same plan and the same folder.
    Raises:
        ConfigError: a prompt does not fit the context or the token budget.
        TrainingStopped: a guard found that nothing is learned.
    """
    if config.steps == 0:
        return
    quiet_libraries()
    lengths = [len(render(leader.tokenizer, p.messages)) for p in plan]
    check_prompt_lengths(
        lengths, config, runtime.micro_batch_tokens, leader.max_context_tokens, batch_tokens=runtime.batch_tokens
    )
    start = rewind_once(run_folder, ranks)
    with Meter("train_mlpo", config.steps, start=start, quiet=not ranks.is_main) as meter:
        guards = Guards(config, warn=lambda message: meter.say(f"warning: {message}"))
        for row in run_folder.curve.rows():
            guards.observe(row, quiet=True)

        def on_step(metrics: dict[str, float]) -> None:
            if not ranks.is_main:
                return
            step = int(metrics["step"])
            run_folder.curve.append([curve_row(metrics, MLPO_COLUMNS)])
            log({name: value for name, value in metrics.items() if name != "step"}, step)
            meter.step(step, _summary(metrics))
            guards.observe(metrics)

        trainer = MlpoTrainer(
            leader, plan, config, roller=roller, runtime=runtime, run_folder=run_folder, on_step=on_step,
            compute_dtype=compute_dtype, ranks=ranks,
        )  # fmt: skip
        _train_to_the_end(trainer, run_folder)
    leader.model.eval()


def _train_to_the_end(trainer: MlpoTrainer, run_folder: RunFolder) -> None:
    """Train from the last checkpoint on, and leave the leader whole: nothing shared out, no adapters."""
    checkpoint = run_folder.checkpoint()
    try:
        with lost_process(COMMUNICATION):
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
            trainer.weights.give_back()
    except TrainingStopped as stop:
        raise TrainingStopped(f"{stop}. The roll-outs lie in {run_folder.set_aside()}/rollouts.jsonl") from None
    finally:
        trainer.close_sampler()
    if trainer.adapters is not None:
        trainer.adapters.merge()


def _arguments(
    config: TrainMlpoConfig, run_folder: RunFolder, device: torch.device, compute_dtype: torch.dtype, *, seed: int
) -> GRPOConfig:
    # A checkpoint falls between two batches of roll-outs, never between two updates on one.
    save_steps = math.ceil(config.save_steps / config.updates_per_batch) * config.updates_per_batch
    arguments = GRPOConfig(
        **trainer_arguments(run_folder.folder, device, compute_dtype, seed=seed, save_steps=save_steps),
        max_steps=config.steps,
        per_device_train_batch_size=config.prompts_per_step * config.group_size,
        num_generations=config.group_size,
        num_iterations=config.updates_per_batch,
        shuffle_dataset=False,
        learning_rate=config.learning_rate,
        warmup_steps=config.warmup_steps,
        max_grad_norm=config.max_grad_norm,
        temperature=config.temperature,
        max_completion_length=config.max_completion_tokens,
        loss_type=config.loss_type,
        scale_rewards="group" if config.scale_rewards else "none",
        epsilon=config.epsilon_low,
        epsilon_high=config.epsilon_high,
        beta=0.0,  # else TRL would load a reference from the hub; ours is a copy of what training starts from
    )
    settle_device(arguments, device)
    return arguments


def _as_they_are(places: list[int]) -> list[int]:
    return places


def _scored_with_the_rollout(*_: Any, **__: Any) -> list[float | None]:
    """TRL asks for a reward function; ours runs with the roll-outs, so this one is never called."""
    raise AssertionError("the roll-outs are scored by Roller")


def _summary(metrics: Mapping[str, float]) -> str:
    return (
        f"reward {metrics.get('reward', math.nan):.2f}  correct {metrics.get('correct', math.nan):.2f}  "
        f"no signal {metrics['zero_signal_share']:.0%}  truncated {metrics['truncated_rate']:.0%}"
    )

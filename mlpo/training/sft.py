"""The warm start on TRL's SFTTrainer: imitate the demonstrations, loss on completion tokens only.

A step's demonstrations go through the model sorted by length, in parts under the token budget, so that little is
padded; the loss is the mean over all completion tokens of the step, whatever the parts.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import PrinterCallback
from trl import SFTConfig, SFTTrainer

from mlpo.config import ConfigError, RuntimeConfig, TrainSftConfig
from mlpo.method.seeds import derive_seed
from mlpo.models.lm_head import predictions_at
from mlpo.models.load import LoadedModel
from mlpo.models.lora import choose_trained
from mlpo.training.checkpoints import SmallCheckpoints
from mlpo.training.distributed import ALONE, COMMUNICATION, Ranks, lost_process
from mlpo.training.fsdp import hold_weights
from mlpo.training.lr_schedule import Scheduled
from mlpo.training.progress import Meter
from mlpo.training.prompt_schedule import num_sft_steps
from mlpo.training.run_folder import RunFolder
from mlpo.training.run_log import SFT_COLUMNS, Log, curve_row, log_nothing
from mlpo.training.sft_examples import IGNORED, EncodedDemonstration, check_context, encode_demonstration
from mlpo.training.trainer_setup import (
    leave_unwrapped,
    naming_the_budget,
    peak_memory_mib,
    quiet_libraries,
    rewind_once,
    settle_device,
    trainer_arguments,
)
from mlpo.types import Demonstration


class WarmStartTrainer(Scheduled, SmallCheckpoints, SFTTrainer):
    """SFT on demonstrations that are already tokens, in the order given."""

    rate_shape = "linear"

    def __init__(
        self,
        leader: LoadedModel,
        order: Sequence[EncodedDemonstration],
        config: TrainSftConfig,
        *,
        seed: int,
        runtime: RuntimeConfig,
        run_folder: RunFolder,
        on_step: Callable[[dict[str, float]], None],
        compute_dtype: torch.dtype = torch.float32,
        ranks: Ranks = ALONE,
    ) -> None:
        self.ranks = ranks
        self.adapters = choose_trained(leader.model, config.trainable_layers, config.lora, seed=seed)
        self.weights = hold_weights(leader, compute_dtype, ranks, shard=runtime.shard)
        self._runtime, self._on_step = runtime, on_step
        self._pad = int(leader.tokenizer.pad_token_id or 0)
        rows = {
            "input_ids": [[*e.prompt, *e.completion] for e in order],
            "labels": [e.labels for e in order],
        }
        super().__init__(
            model=self.weights.model,
            args=_arguments(config, len(order), run_folder, self.weights.device, compute_dtype, seed=seed),
            data_collator=_as_they_are,
            train_dataset=Dataset.from_dict(rows),
            processing_class=leader.tokenizer,
        )
        self.remove_callback(PrinterCallback)
        leave_unwrapped(self.weights.model, ranks)

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Whole steps, the same in every process; a process takes its share of each."""
        rows: Any = self.train_dataset
        return DataLoader(rows, batch_size=self.args.per_device_train_batch_size, collate_fn=_as_they_are)

    def training_step(self, model: nn.Module, inputs: Any, num_items_in_batch: Any = None) -> Tensor:
        """The gradient of the whole step, added up over its parts and over all processes."""
        model.train()
        self._began = time.perf_counter()
        self._num_tokens = sum(len(row["input_ids"]) for row in inputs)
        self._means = dict.fromkeys(("entropy", "token_accuracy"), 0.0)
        num_learned = torch.tensor(sum(label != IGNORED for row in inputs for label in row["labels"]))
        total = torch.zeros((), device=self.args.device)
        by_length = sorted(inputs, key=lambda row: -len(row["input_ids"]))
        mine = by_length[self.ranks.rank :: self.ranks.count]
        parts = length_sorted_parts(mine, self._runtime.micro_batch_tokens)
        for part in self.weights.levelled(parts, lambda: [{"input_ids": [self._pad], "labels": [IGNORED]}]):
            batch = collate(part, self._pad, self.args.device)
            with naming_the_budget("learning", "runtime.micro_batch_tokens", self._runtime.micro_batch_tokens):
                with self.accelerator.autocast():
                    loss = self.compute_loss(model, batch, num_items_in_batch=num_learned)
                self.accelerator.backward(loss)
            total += loss.detach()
        self.weights.sum_gradients()
        self._means = self.ranks.totals(self._means)
        return self.ranks.add(total)

    def compute_loss(
        self, model: nn.Module, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Tensor:
        """Cross entropy of the learned tokens over `num_items_in_batch`.

        TRL's own asks for logits, entropy and accuracy at every token of the prompt too: most of a step on a CPU.
        """
        targets = inputs["labels"][:, 1:]
        learned = targets != IGNORED
        read = {name: inputs[name] for name in ("input_ids", "attention_mask")}
        logits = predictions_at(self.weights.model, *learned.nonzero(as_tuple=True), **read)
        loss: Tensor = torch.nn.functional.cross_entropy(logits, targets[learned], reduction="sum") / num_items_in_batch
        with torch.no_grad():
            entropy = (logits.logsumexp(-1) - (logits.softmax(-1) * logits).sum(-1)).sum()
            accuracy = (logits.argmax(-1) == targets[learned]).float().sum()
        self._means["entropy"] += float(entropy / num_items_in_batch)
        self._means["token_accuracy"] += float(accuracy / num_items_in_batch)
        return loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """One step is done: hand its metrics on. TRL's closing summary is not a step."""
        if "loss" not in logs:
            return
        seconds = time.perf_counter() - self._began
        metrics = {"step": float(self.state.global_step)}
        metrics |= {name: float(logs[name]) for name in ("loss", "grad_norm", "learning_rate") if name in logs}
        metrics |= self._means
        metrics |= {"update_seconds": seconds, "update_tokens_per_second": self._num_tokens / seconds}
        self._on_step(metrics | {"peak_memory_mib": peak_memory_mib(self.args.device)})


def train_sft(
    leader: LoadedModel,
    demonstrations: Sequence[Demonstration],
    config: TrainSftConfig,
    *,
    seed: int,
    runtime: RuntimeConfig,
    run_folder: RunFolder,
    log: Log = log_nothing,
    compute_dtype: torch.dtype = torch.float32,
    ranks: Ranks = ALONE,
) -> None:
    """Train the leader's float32 weights in place, going on from the run folder's checkpoint if it holds one.

    Adapters are merged at the end: what is trained has the parts it had before.

    Args:
        ranks: this process among those that train together; all are given the same rows and the same folder.
    Raises:
        ConfigError: no demonstrations, or one that cannot be learned from.
    """
    if config.epochs == 0:
        return
    if not demonstrations:
        raise ConfigError(
            "train_sft: there are no demonstrations; set train_sft.epochs to 0 to go without a warm start"
        )
    quiet_libraries()
    encoded = [encode_demonstration(leader.tokenizer, d) for d in demonstrations]
    check_context(encoded, leader.max_context_tokens)
    order = epochs_in_order(encoded, config.epochs, seed)
    start = rewind_once(run_folder, ranks)
    num_steps = num_sft_steps(len(order), config)
    with Meter("train_sft", num_steps, start=start, quiet=not ranks.is_main) as meter:

        def on_step(metrics: dict[str, float]) -> None:
            if not ranks.is_main:
                return
            step = int(metrics["step"])
            run_folder.curve.append([curve_row(metrics, SFT_COLUMNS)])
            log({name: value for name, value in metrics.items() if name != "step"}, step)
            meter.step(step, f"loss {metrics['loss']:.3f}  token accuracy {metrics['token_accuracy']:.2f}")
            if not math.isfinite(metrics["loss"]):
                raise RuntimeError(
                    f"step {step}: the loss is {metrics['loss']}; lower train_sft.learning_rate "
                    f"(now {config.learning_rate}), or set runtime.dtype to float32"
                )

        trainer = WarmStartTrainer(
            leader, order, config, seed=seed, runtime=runtime, run_folder=run_folder, on_step=on_step,
            compute_dtype=compute_dtype, ranks=ranks,
        )  # fmt: skip
        checkpoint = run_folder.checkpoint()
        with lost_process(COMMUNICATION):
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
            trainer.weights.give_back()
        if trainer.adapters is not None:
            trainer.adapters.merge()
    leader.model.eval()


def _as_they_are(rows: list[Any]) -> Any:
    return rows


def epochs_in_order(encoded: Sequence[EncodedDemonstration], epochs: int, seed: int) -> list[EncodedDemonstration]:
    """Every demonstration once per epoch, each epoch in its own random order."""
    rng = random.Random(derive_seed(seed, "train_sft"))
    return [e for _ in range(epochs) for e in rng.sample(list(encoded), len(encoded))]


def length_sorted_parts(rows: Sequence[Mapping[str, Any]], max_tokens: int) -> list[list[Mapping[str, Any]]]:
    """Rows of like length together, each part at most `max_tokens` with its padding (or one row)."""
    parts: list[list[Mapping[str, Any]]] = []
    for row in sorted(rows, key=lambda r: -len(r["input_ids"])):
        if parts and len(parts[-1][0]["input_ids"]) * (len(parts[-1]) + 1) <= max_tokens:
            parts[-1].append(row)
        else:
            parts.append([row])
    return parts


def collate(rows: Sequence[Mapping[str, Any]], pad: int, device: torch.device) -> dict[str, Tensor]:
    """Right-padded tensors."""
    width = max(len(r["input_ids"]) for r in rows)

    def padded(values: Sequence[Sequence[int]], filler: int) -> Tensor:
        return torch.tensor([[*v, *[filler] * (width - len(v))] for v in values], device=device)

    return {
        "input_ids": padded([r["input_ids"] for r in rows], pad),
        "attention_mask": padded([[1] * len(r["input_ids"]) for r in rows], 0),
        "labels": padded([r["labels"] for r in rows], IGNORED),
    }


def _arguments(
    config: TrainSftConfig, num_rows: int, run_folder: RunFolder, device: torch.device, compute_dtype: torch.dtype,
    *, seed: int,
) -> SFTConfig:  # fmt: skip
    shared = trainer_arguments(run_folder.folder, device, compute_dtype, seed=seed, save_steps=config.save_steps)
    arguments = SFTConfig(
        **shared | {"weight_decay": config.weight_decay},
        max_steps=num_sft_steps(num_rows, config),
        per_device_train_batch_size=config.batch_size,
        train_sampling_strategy="sequential",
        learning_rate=config.learning_rate,
        warmup_steps=config.warmup_steps,
        max_grad_norm=config.max_grad_norm,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    settle_device(arguments, device)
    return arguments

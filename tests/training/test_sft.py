"""The warm start: what is learned, in which parts, and that the parts make no difference."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from mlpo.config import ConfigError, LoraConfig, RuntimeConfig, TrainSftConfig
from mlpo.models.chat_template import render
from mlpo.models.load import LoadedModel, load_model
from mlpo.training.run_folder import RunFolder
from mlpo.training.sft import WarmStartTrainer, epochs_in_order, length_sorted_parts, train_sft
from mlpo.training.sft_examples import IGNORED, encode_demonstration
from mlpo.types import Demonstration, Message


def demonstration(number: int) -> Demonstration:
    """Questions and answers of many lengths."""
    question = "1 + " * (number % 5) + f"{number}?"
    text = f"<think>{'so ' * (number % 7)}{number}</think><answer>{number}</answer>"
    return Demonstration(f"p{number}", "sum", "solo_confirm", (Message("user", question),), text)


DEMONSTRATIONS = [demonstration(n) for n in range(10)]
LORA = LoraConfig(rank=2, alpha=8, target_modules=("q_proj", "down_proj"))


def train(
    leader: LoadedModel, folder: Path, *, budget: int = 4096, demonstrations: Any = None, log: Any = None,
    **changes: Any,
) -> RunFolder:  # fmt: skip
    config = TrainSftConfig(**{"epochs": 2, "batch_size": 4, "learning_rate": 0.01, "warmup_steps": 1} | changes)
    run_folder = RunFolder(folder)
    rows = DEMONSTRATIONS if demonstrations is None else demonstrations
    train_sft(
        leader, rows, config, seed=3, runtime=RuntimeConfig(micro_batch_tokens=budget), run_folder=run_folder,
        log=log or (lambda metrics, step: None),
    )  # fmt: skip
    return run_folder


def test_only_the_completion_and_its_end_are_learned(tiny: LoadedModel) -> None:
    encoded = encode_demonstration(tiny.tokenizer, DEMONSTRATIONS[3])
    assert encoded.prompt == render(tiny.tokenizer, DEMONSTRATIONS[3].messages)
    learned = [label for label in encoded.labels if label != IGNORED]
    assert tiny.tokenizer.decode(learned) == DEMONSTRATIONS[3].completion + "<end>"
    assert len(encoded.labels) == encoded.num_tokens


def test_a_template_that_drops_thoughts_cannot_touch_what_is_learned(tiny: LoadedModel) -> None:
    dropping = tiny.tokenizer.chat_template.replace("m['content']", "m['content'].split('</think>')[-1]")
    tiny.tokenizer.chat_template = dropping
    assert "<think>" not in tiny.tokenizer.decode(render(tiny.tokenizer, [Message("assistant", "<think>a</think>b")]))
    encoded = encode_demonstration(tiny.tokenizer, DEMONSTRATIONS[3])
    assert "<think>so so so 3</think>" in tiny.tokenizer.decode(encoded.completion)


def test_a_template_that_rewrites_the_prompt_is_refused(tiny: LoadedModel) -> None:
    tiny.tokenizer.chat_template = "{{ messages | length }}" + tiny.tokenizer.chat_template
    with pytest.raises(ConfigError, match="changes the prompt"):
        encode_demonstration(tiny.tokenizer, DEMONSTRATIONS[0])


def test_a_row_with_nothing_to_learn_is_refused(tiny: LoadedModel) -> None:
    with pytest.raises(ConfigError, match=r"p0.*every token would be masked"):
        encode_demonstration(tiny.tokenizer, replace(DEMONSTRATIONS[0], completion=""))


def test_text_that_the_tokenizer_does_not_know_is_refused(tiny: LoadedModel) -> None:
    with pytest.raises(ConfigError, match="does not give back"):
        encode_demonstration(tiny.tokenizer, replace(DEMONSTRATIONS[0], completion="<answer>Málaga</answer>"))


def test_what_is_too_long_for_the_leader_is_refused_before_the_run(tiny: LoadedModel, tmp_path: Path) -> None:
    too_long = replace(DEMONSTRATIONS[0], completion="a" * 600)
    with pytest.raises(ConfigError, match="1 of 2 demonstrations pass the leader's context of 512"):
        train(tiny, tmp_path, demonstrations=[DEMONSTRATIONS[1], too_long])


def test_every_epoch_has_every_demonstration_in_another_order(tiny: LoadedModel) -> None:
    encoded = [encode_demonstration(tiny.tokenizer, d) for d in DEMONSTRATIONS]
    order = epochs_in_order(encoded, 2, seed=0)
    assert sorted(e.completion for e in order[:10]) == sorted(e.completion for e in encoded)
    assert sorted(e.completion for e in order[10:]) == sorted(e.completion for e in encoded)
    assert order[:10] != order[10:]
    assert order == epochs_in_order(encoded, 2, seed=0) != epochs_in_order(encoded, 2, seed=1)


def test_parts_hold_rows_of_like_length_under_the_budget() -> None:
    # 8+padding: [8], [5, 4] = 2 * 5 = 10, [2, 1, 1] = 3 * 2 = 6: a fourth row would still fit, a third 5 would not
    rows = [{"input_ids": [0] * n} for n in (1, 5, 8, 2, 4, 1)]
    assert [[len(r["input_ids"]) for r in p] for p in length_sorted_parts(rows, 10)] == [[8], [5, 4], [2, 1, 1]]
    assert len(length_sorted_parts(rows, 3)) == 5  # a row longer than the budget still goes, alone


class Checked(WarmStartTrainer):
    """Compares every step with the mean over completion tokens, one row at a time, no padding."""

    num_steps = 0

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Tensor:
        found = super().training_step(model, inputs, num_items_in_batch)
        grads = [p.grad.clone() for p in model.parameters() if p.grad is not None]
        losses = []
        for row in inputs:
            logits = model(torch.tensor([row["input_ids"]])).logits[0, :-1]
            labels = torch.tensor(row["labels"])[1:]
            losses.append(torch.nn.functional.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="none"))
        num_learned = sum(label != IGNORED for row in inputs for label in row["labels"])
        expected = torch.cat(losses).sum() / num_learned
        model.zero_grad()
        expected.backward()
        torch.testing.assert_close(found, expected.detach(), atol=1e-5, rtol=1e-5)
        for grad, weight in zip(grads, (p for p in model.parameters() if p.grad is not None), strict=True):
            torch.testing.assert_close(grad, weight.grad, atol=1e-5, rtol=1e-4)
        self.num_steps += 1
        return found


@pytest.mark.parametrize("trained", [{}, {"trainable_layers": 1}, {"lora": LORA}], ids=["all", "last layer", "lora"])
@pytest.mark.parametrize("budget", [4096, 120])
def test_loss_and_gradients_are_the_mean_over_completion_tokens(
    tiny: LoadedModel, tmp_path: Path, budget: int, trained: dict[str, Any]
) -> None:
    order = [encode_demonstration(tiny.tokenizer, d) for d in DEMONSTRATIONS]
    config = TrainSftConfig(batch_size=4, learning_rate=0.01, **trained)
    trainer = Checked(
        tiny, order, config, seed=0, runtime=RuntimeConfig(micro_batch_tokens=budget), run_folder=RunFolder(tmp_path),
        on_step=lambda metrics: None,
    )  # fmt: skip
    trainer.train()
    assert trainer.num_steps == 3  # 4 + 4 + 2


def test_training_learns_writes_its_curve_and_repeats_itself(
    tiny: LoadedModel, tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = train(tiny, tmp_path / "a").curve.rows()
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5]  # 2 epochs of 10 in batches of 4
    assert rows[-1]["loss"] < rows[0]["loss"]
    # warm-up of 1: half the rate, then 4/4 ... 1/4 of it
    assert [row["learning_rate"] for row in rows] == pytest.approx([0.005, 0.01, 0.0075, 0.005, 0.0025])
    assert set(rows[0]) == {"step", "loss", "token_accuracy", "entropy", "grad_norm", "learning_rate"}
    printed = capsys.readouterr()
    assert "train_sft: 5 of 5 steps" in printed.out
    assert "Trainer" not in printed.out + printed.err
    again = load_model(str(tiny_folder), device="cpu", dtype="float32")
    assert train(again, tmp_path / "b").curve.rows() == rows
    for one, other in zip(tiny.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_frozen_layers_stay_as_they_were(tiny: LoadedModel, tmp_path: Path) -> None:
    before = {name: p.clone() for name, p in tiny.model.named_parameters()}
    train(tiny, tmp_path, trainable_layers=1)
    changed = {name for name, p in tiny.model.named_parameters() if not torch.equal(p, before[name])}
    assert changed
    assert all(name.startswith(("model.layers.1.", "model.norm")) for name in changed)


def test_adapters_alone_are_trained_and_merged_into_the_layers_named(tiny: LoadedModel, tmp_path: Path) -> None:
    before = {name: p.clone() for name, p in tiny.model.named_parameters()}
    run_folder = train(tiny, tmp_path, lora=LORA, save_steps=2)
    checkpoint = run_folder.checkpoint()
    assert checkpoint is not None
    kept = load_file(checkpoint / "trainable.safetensors")
    # A and B of 2 layers in each of 2 blocks
    assert len(kept) == 8
    assert all(".lora_A." in name or ".lora_B." in name for name in kept)
    after = dict(tiny.model.named_parameters())
    assert after.keys() == before.keys()
    changed = {name for name, p in after.items() if not torch.equal(p, before[name])}
    assert changed == {name for name in before if "q_proj" in name or "down_proj" in name}


class StoppedError(Exception):
    """As if the process had ended here."""


@pytest.mark.slow
def test_adapters_with_dropout_go_on_where_they_were_bit_for_bit(
    tiny: LoadedModel, tiny_folder: Path, tmp_path: Path
) -> None:
    lora = LoraConfig(rank=2, dropout=0.3)

    def stop(metrics: Any, step: int) -> None:
        if step == 3:
            raise StoppedError

    train(tiny, tmp_path / "unbroken", lora=lora)
    first, second = (load_model(str(tiny_folder), device="cpu", dtype="float32") for _ in range(2))
    with pytest.raises(StoppedError):
        train(first, tmp_path / "stopped", lora=lora, save_steps=2, log=stop)
    torch.manual_seed(99)  # a new process does not begin with the old one's random state
    assert train(second, tmp_path / "stopped", lora=lora, save_steps=2).checkpoint_step() == 4
    for one, other in zip(tiny.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_no_epochs_change_nothing_and_no_demonstrations_are_refused(tiny: LoadedModel, tmp_path: Path) -> None:
    before = [p.clone() for p in tiny.model.parameters()]
    train(tiny, tmp_path, epochs=0)
    assert all(torch.equal(a, b) for a, b in zip(before, tiny.model.parameters(), strict=True))
    with pytest.raises(ConfigError, match="no demonstrations"):
        train(tiny, tmp_path, demonstrations=[])

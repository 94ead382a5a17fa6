"""One process trains on one device, whatever else the machine has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from trl import GRPOConfig, SFTConfig

from mlpo.config import RuntimeConfig, TrainMlpoConfig, TrainSftConfig
from mlpo.method.rewards import RewardParts
from mlpo.models.load import LoadedModel
from mlpo.training.mlpo import MlpoTrainer
from mlpo.training.prompt_schedule import TrainingPrompt
from mlpo.training.rollouts import Roller
from mlpo.training.run_folder import RunFolder
from mlpo.training.sft import WarmStartTrainer
from mlpo.training.sft_examples import encode_demonstration
from mlpo.training.trainer_setup import settle_device
from mlpo.types import Demonstration, Message, Sampling


@pytest.fixture
def eight_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """What transformers notes of a machine with eight GPUs and no launcher: all of them, for DataParallel."""
    for kind in (GRPOConfig, SFTConfig):
        made: Callable[[Any], None] = kind.__post_init__

        def noted(self: Any, made: Callable[[Any], None] = made) -> None:
            made(self)
            self._n_gpu = 8

        monkeypatch.setattr(kind, "__post_init__", noted)


@pytest.mark.usefixtures("eight_gpus")
def test_both_trainers_take_one_of_several_gpus(
    tiny: LoadedModel, make_prompts: Callable[[int], list[TrainingPrompt]], tmp_path: Path
) -> None:
    config = TrainMlpoConfig(steps=1, prompts_per_step=2, group_size=2, max_completion_tokens=4, max_grad_norm=0.25)
    roller = Roller(2, Sampling(1.0, 1.0, 4), 7, lambda text, reason, problem: RewardParts(0.0, 0.0))
    shared: dict[str, Any] = {"runtime": RuntimeConfig(), "on_step": lambda metrics: None}
    trainer = MlpoTrainer(
        tiny, make_prompts(2), config, roller=roller, run_folder=RunFolder(tmp_path / "mlpo"), **shared
    )
    assert (trainer.args.n_gpu, trainer.args.train_batch_size) == (1, 4)
    assert trainer.args.max_grad_norm == config.max_grad_norm == 0.25
    shown = Demonstration("p", "sum", "solo_confirm", (Message("user", "1 + 1?"),), "<answer>2</answer>")
    order = [encode_demonstration(tiny.tokenizer, shown)]
    warm = WarmStartTrainer(
        tiny, order, TrainSftConfig(batch_size=4), seed=1, run_folder=RunFolder(tmp_path / "sft"), **shared
    )
    assert (warm.args.n_gpu, warm.args.train_batch_size) == (1, 4)


@pytest.mark.parametrize(("device", "index"), [("cuda:1", 1), ("cuda", 0)])
def test_the_leaders_gpu_is_the_trainers(
    device: str, index: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    arguments = GRPOConfig(output_dir=str(tmp_path), use_cpu=True, report_to="none")
    settle_device(arguments, torch.device(device))
    assert arguments.device == torch.device("cuda", index)
    assert chosen == [torch.device("cuda", index)]

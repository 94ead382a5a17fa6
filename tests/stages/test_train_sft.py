"""Stage `train_sft` on a real, tiny leader: its outputs, its repeatability, its refusals and its unfinished runs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from mlpo.config import ConfigError, Params, parse_params
from mlpo.layout import DEMONSTRATIONS, SFT_CURVE, SFT_LEADER, WORK
from mlpo.models.identity import weights_digest
from mlpo.models.load import load_model
from mlpo.stages import train_sft
from mlpo.store import write_jsonl_atomic
from mlpo.training.run_folder import RunFolder
from mlpo.types import Demonstration, Message
from tests.training.conftest import tiny_folder  # noqa: F401 - a fixture

MakeParams = Callable[..., Params]


@pytest.fixture
def make_params(house: Path, raw_params: dict[str, Any], tiny_folder: Path) -> MakeParams:  # noqa: F811
    """Parameters with changes to section train_sft, beside six demonstrations."""
    write_jsonl_atomic(
        DEMONSTRATIONS,
        [
            Demonstration(f"t{n}", "sum", "solo_confirm", (Message("user", f"{n} + 1?"),), f"<answer>{n + 1}</answer>")
            for n in range(6)
        ],
    )
    small = {"epochs": 2, "batch_size": 3, "save_steps": 2}
    own = raw_params | {"leader": {"model": str(tiny_folder)}}
    return lambda **changes: parse_params(own | {"train_sft": small | changes})


def test_the_leader_loads_and_the_same_seed_gives_the_same_bytes(make_params: MakeParams) -> None:
    train_sft.run(make_params())
    first = (weights_digest(SFT_LEADER), SFT_CURVE.read_bytes())
    load_model(str(SFT_LEADER), device="cpu")
    assert SFT_CURVE.read_text().count("\n") == 1 + 4  # 2 epochs of 6 in batches of 3
    assert not (WORK / "training" / "train_sft").exists()
    train_sft.run(make_params())
    assert (weights_digest(SFT_LEADER), SFT_CURVE.read_bytes()) == first
    train_sft.run(make_params(learning_rate=1e-3))
    assert weights_digest(SFT_LEADER) != first[0]


@pytest.mark.slow
def test_no_epochs_hand_on_the_untrained_leader(make_params: MakeParams, tiny_folder: Path) -> None:  # noqa: F811
    train_sft.run(make_params(epochs=0))
    assert weights_digest(SFT_LEADER) == weights_digest(tiny_folder)
    assert SFT_CURVE.read_text().count("\n") == 1


def test_missing_demonstrations_are_named_and_nothing_is_written(make_params: MakeParams, house: Path) -> None:
    DEMONSTRATIONS.unlink()
    with pytest.raises(ConfigError, match=r"demonstrations/train\.jsonl"):
        train_sft.run(make_params())
    assert not (house / "data" / "leaders").exists()


class Killed(BaseException):
    """As if the process had ended here."""


@pytest.mark.slow
def test_a_stopped_run_goes_on_in_its_own_mlflow_run(
    make_params: MakeParams, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train_sft.run(make_params())
    unbroken = weights_digest(SFT_LEADER)
    with monkeypatch.context() as patch:

        def killed(*_: Any, **__: Any) -> None:
            raise Killed

        patch.setattr(train_sft, "save_leader", killed)
        with pytest.raises(Killed):
            train_sft.run(make_params())
    run_id = RunFolder(WORK / "training" / "train_sft").run_id
    assert run_id is not None
    with pytest.raises(ConfigError, match=r"train_sft\.learning_rate was 5e-05 and is now 0\.001"):
        train_sft.run(make_params(learning_rate=1e-3))
    capsys.readouterr()
    train_sft.run(make_params(save_steps=1))  # when to save may change in between
    assert "resuming from step 2" in capsys.readouterr().out
    assert weights_digest(SFT_LEADER) == unbroken
    assert MlflowClient(os.environ["MLFLOW_TRACKING_URI"]).get_run(run_id).info.status == "FINISHED"

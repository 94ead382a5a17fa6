"""The folder of an unfinished run: whose it is, where it goes on, and what it remembers."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpo.config import ConfigError
from mlpo.training.run_folder import RunFolder

FINGERPRINT = {"seed": 0, "train_mlpo.learning_rate": 1e-5, "problems": "abc"}


def unfinished(folder: Path, *steps: int) -> RunFolder:
    """A run with checkpoints of these steps and journals of ten."""
    run_folder = RunFolder(folder / "train_mlpo")
    run_folder.claim(FINGERPRINT)
    for step in steps:
        (run_folder.folder / f"checkpoint-{step}").mkdir()
    run_folder.curve.append({"step": step} for step in range(1, 11))
    run_folder.rollouts.append({"step": step, "index": i} for step in range(1, 11) for i in range(2))
    return run_folder


def test_another_parameter_is_refused_by_name_with_both_values_and_the_folder(tmp_path: Path) -> None:
    run_folder = unfinished(tmp_path, 8)
    with pytest.raises(ConfigError) as error:
        run_folder.claim(FINGERPRINT | {"train_mlpo.learning_rate": 2e-5})
    assert "train_mlpo.learning_rate was 1e-05 and is now 2e-05" in str(error.value)
    assert "seed" not in str(error.value)
    assert f"delete {tmp_path / 'train_mlpo'}" in str(error.value)
    assert len(run_folder.curve.rows()) == 10


def test_a_parameter_that_came_or_went_is_named_too(tmp_path: Path) -> None:
    run_folder = unfinished(tmp_path, 8)
    with pytest.raises(ConfigError, match='new was null and is now 1; problems was "abc" and is now null'):
        run_folder.claim({"seed": 0, "train_mlpo.learning_rate": 1e-5, "new": 1})


def test_the_same_parameters_go_on(tmp_path: Path) -> None:
    unfinished(tmp_path, 8).run_id = "r1"
    again = RunFolder(tmp_path / "train_mlpo")
    again.claim(dict(reversed(FINGERPRINT.items())))
    assert (again.checkpoint_step(), again.run_id) == (8, "r1")


def test_a_run_that_never_got_to_a_checkpoint_gives_way(tmp_path: Path) -> None:
    run_folder = unfinished(tmp_path)
    run_folder.claim(FINGERPRINT | {"seed": 1})
    assert run_folder.curve.rows() == []
    assert run_folder.run_id is None


def test_a_half_written_checkpoint_is_none(tmp_path: Path) -> None:
    run_folder = unfinished(tmp_path, 8)
    (run_folder.folder / "saving-16").mkdir()
    assert run_folder.checkpoint() == run_folder.folder / "checkpoint-8"


def test_of_two_checkpoints_the_later_counts(tmp_path: Path) -> None:
    assert unfinished(tmp_path, 8, 16).checkpoint_step() == 16  # by number: "checkpoint-8" sorts behind


def test_journals_are_cut_back_to_the_checkpoint(tmp_path: Path) -> None:
    run_folder = unfinished(tmp_path, 4)
    with run_folder.curve.path.open("a") as file:
        file.write('{"step": 11, "los')  # killed while writing
    assert run_folder.rewind() == 4
    assert [row["step"] for row in run_folder.curve.rows()] == [1, 2, 3, 4]
    assert len(run_folder.rollouts.rows()) == 8
    run_folder.curve.append([{"step": 5}])
    assert run_folder.curve.rows()[-1] == {"step": 5}


def test_a_finished_run_leaves_nothing(tmp_path: Path) -> None:
    unfinished(tmp_path, 4).clear()
    assert list(tmp_path.iterdir()) == []


def test_a_stopped_run_is_moved_aside_over_an_older_one(tmp_path: Path) -> None:
    for _ in range(2):
        aside = unfinished(tmp_path, 4).set_aside()
    assert [p.name for p in tmp_path.iterdir()] == ["train_mlpo-stopped"]
    assert len(RunFolder(aside).rollouts.rows()) == 20

"""What a study remembers of a run counts only for the same code, and while its worktree is there."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from threading import Timer

import pytest

from mlpo.config import ConfigError
from mlpo.files import write_json_atomic
from mlpo.processes.worktree import code_digest
from mlpo.studies import folders
from mlpo.studies.folders import RECORDS, Record, StudyFolders, take_over
from mlpo.studies.plan import Run, plan_study
from mlpo.studies.spec import Study

ROOT = Path(__file__).parents[2]


def one_run() -> Run:
    study = Study.model_validate({"title": "t", "question": "q", "variants": {"base": {}}})
    return plan_study(ROOT, study).runs[0]


def test_a_part_is_done_with_this_code_in_a_worktree_that_is_there(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    (tmp_path / "mlpo").mkdir()
    (tmp_path / "mlpo/code.py").write_text("one")
    subprocess.run(["git", "add", "--all"], cwd=tmp_path, check=True)
    run = one_run()
    folders = StudyFolders(tmp_path, [run])
    assert not folders.is_done(run.id, "train_sft")
    record = folders.records[run.id]
    record.folder, record.code = str(tmp_path), code_digest(tmp_path)
    folders.finish(run.id, "train_sft", 12.34)

    again = StudyFolders(tmp_path, [run])
    assert (again.is_done(run.id, "train_sft"), again.is_done(run.id, "evaluate")) == (True, False)
    assert again.records[run.id].seconds == {"train_sft": 12.3}
    assert not StudyFolders(tmp_path, [replace(run, key="other parameters")]).is_done(run.id, "train_sft")

    (tmp_path / "mlpo/code.py").write_text("two")
    edited = StudyFolders(tmp_path, [run])
    assert (edited.folder(run.id), edited.is_done(run.id, "train_sft")) == (tmp_path, False)

    (tmp_path / "mlpo/code.py").write_text("one")
    gone = Record(run.key, str(tmp_path / "gone"), record.code, seconds={"train_sft": 12.3})
    write_json_atomic(tmp_path / RECORDS / f"{run.key}.json", gone.__dict__)
    assert not StudyFolders(tmp_path, [run]).is_done(run.id, "train_sft")


def test_an_owner_that_writes_its_lock_anew_is_waited_for(tmp_path: Path) -> None:
    mine, owner = tmp_path / "mine", tmp_path / "owner"
    owner.mkdir()
    (owner / "dvc.lock").write_text("stages: {prepare: {cmd: x, outs: [")  # half written
    Timer(0.3, (owner / "dvc.lock").write_text, ["schema: '2.0'\nstages: {prepare: {cmd: x, outs: []}}\n"]).start()
    with pytest.raises(ConfigError, match="cannot be taken from DVC's cache"):  # which this folder has not
        take_over(mine, {"prepare": owner})


def test_what_its_owner_has_lost_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "PATIENCE", 0.0)
    with pytest.raises(ConfigError, match=r"prepare of .*owner is gone; delete the files in \.mlpo/studies"):
        take_over(tmp_path / "mine", {"prepare": tmp_path / "owner"})

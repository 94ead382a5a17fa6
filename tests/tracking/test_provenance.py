"""Where the records lie and what content is called: git's main checkout, DVC's own hashes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mlpo.tracking.connect import connect, main_checkout, tracking_uri
from mlpo.tracking.provenance import Commit, content_md5, current_commit


def said(*command: str) -> str:
    """What a program says in the current folder."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_a_worktrees_records_lie_in_the_main_checkout(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said("git", "worktree", "add", "-q", "--detach", str(checkout / ".mlpo/worktrees/a"), "HEAD")
    monkeypatch.chdir(checkout / ".mlpo/worktrees/a")
    assert main_checkout() == checkout
    assert tracking_uri() == f"sqlite:///{checkout}/mlflow.db"


def test_a_temporary_dvc_experiments_records_lie_in_the_checkout_that_holds_it(checkout: Path) -> None:
    copy = checkout / ".dvc/tmp/exps/standalone/tmpx"
    copy.mkdir(parents=True)
    said("git", "init", "-q", str(copy))
    assert main_checkout(copy) == checkout


def test_outside_git_the_folder_itself_holds_the_records(tmp_path: Path) -> None:
    assert main_checkout(tmp_path) == tmp_path


def test_the_environments_tracking_uri_comes_first(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = checkout.parent / "elsewhere.db"
    (checkout / "mlflow.db").rename(elsewhere)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{elsewhere}")
    experiment = connect().client.get_experiment(connect().experiment_id)
    assert experiment.artifact_location == (checkout.parent / "mlruns/mlpo").as_uri()
    assert not (checkout / "mlflow.db").exists()


def test_a_store_that_does_not_answer_is_named(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # the discard port: nothing listens
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(ConnectionError, match=r"http://127\.0\.0\.1:9 does not answer .*MLFLOW_TRACKING_URI"):
        connect()


@pytest.mark.slow
def test_files_and_folders_are_hashed_as_dvc_does(checkout: Path) -> None:
    for name, text in {"b.txt": "1", "a/z.txt": "2", "a-/é.txt": "3", "a.txt": "4"}.items():
        (checkout / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / "data" / name).write_text(text, encoding="utf-8")
    (checkout / "alone.txt").write_text("5", encoding="utf-8")
    said(sys.executable, "-m", "dvc", "init", "-q")
    said(sys.executable, "-m", "dvc", "add", "-q", "data", "alone.txt")
    for name in ("data", "alone.txt"):
        [out] = yaml.safe_load((checkout / f"{name}.dvc").read_text(encoding="utf-8"))["outs"]
        assert content_md5(Path(name)) == out["md5"]


def test_what_a_run_writes_itself_does_not_make_the_checkout_dirty(checkout: Path) -> None:
    (checkout / "dvc.lock").write_text("a", encoding="utf-8")
    said("git", "add", "dvc.lock")
    assert not current_commit().dirty
    (checkout / "params.yaml").write_text("seed: 1\n", encoding="utf-8")
    assert current_commit().dirty


def test_outside_git_there_is_no_commit(tmp_path: Path) -> None:
    assert current_commit(tmp_path) == Commit("", dirty=False)

"""Where a run works: the checkout itself, or for other parameters a git worktree that shares its DVC cache.

A worktree is a folder a person can enter: the very files of the checkout (uncommitted and new ones too), params.yaml
as asked for, a dvc.lock of its own. So a run with overrides leaves the checkout alone, two of them never meet, and one
that was stopped goes on: an equal wish leads to the same folder. (A DVC experiment in a temporary folder starts anew.)
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from mlpo.config import ConfigError, digest, load_params, parse_params, raw_params
from mlpo.config.overrides import merge
from mlpo.layout import PARAMS, WORK

LOCK_FILE = Path("dvc.lock")


@contextmanager
def checkout_for(
    root: Path, overrides: Mapping[str, Any], params: Path = PARAMS, *, in_place: bool = True
) -> Iterator[Path]:
    """The folder to run in: `root` if what is asked for are its parameters, else a worktree, held until the end.

    Args:
        overrides: what differs from `params`.
        params: a whole set of parameters, in `root` or an absolute path; nothing of params.yaml is mixed into another.
        in_place: false for a worktree in any case: `root` keeps its data even if the parameters are its own.
    Raises:
        ConfigError: the parameters are illegal, `root` is no git checkout, or another run holds the same worktree.
    """
    current, raw = load_params(root / PARAMS), merge(raw_params(root / params), overrides)
    if parse_params(raw, source="overrides") == current and in_place:
        yield root
        return
    named = root / params != root / PARAMS
    asked = {"params": os.path.relpath(root / params, root), "overrides": dict(overrides)} if named else dict(overrides)
    folder = root / WORK / "worktrees" / digest(asked)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _held(folder.with_suffix(".lock"), folder):
        _bring_up_to_date(root, folder, raw)
        yield folder


def code_digest(root: Path) -> str:
    """What the code of a checkout is, uncommitted edits included: all of mlpo/ and dvc.yaml."""
    return digest(_git(root, "ls-tree", _snapshot(root), "mlpo", "dvc.yaml"))


@contextmanager
def _held(lock: Path, folder: Path) -> Iterator[None]:
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"a run with these parameters is going on in {folder}; wait for it or stop it") from None
        yield


def _bring_up_to_date(root: Path, folder: Path, raw: Mapping[str, Any]) -> None:
    """Make `folder` hold the checkout's files and the parameters `raw`; what stages did there already is kept."""
    _link(root, folder)
    _git(folder, "update-ref", "--no-deref", "HEAD", _git(root, "rev-parse", "HEAD"))
    _git(folder, "read-tree", "--reset", "-u", _snapshot(root, _own_lock(folder)))
    (folder / PARAMS).write_text(yaml.safe_dump(dict(raw), sort_keys=False, allow_unicode=True), encoding="utf-8")
    _share_cache(root, folder)


def _link(root: Path, folder: Path) -> None:
    """Make `folder` a worktree of `root` wherever both lie now; files that are in it stay.

    Git links a worktree by an absolute path, which leads nowhere once the checkout was moved or is mounted elsewhere in
    a container. So ours is relative; what git keeps of a worktree in .git/worktrees is made anew where it was pruned.
    """
    kept = Path(_git(root, "rev-parse", "--path-format=absolute", "--git-common-dir")).resolve() / "worktrees"
    link = folder.resolve() / ".git"
    name = Path(link.read_text(encoding="utf-8").strip()).name if link.exists() else folder.name
    if not (kept / name / "HEAD").exists():
        with tempfile.TemporaryDirectory(prefix=".", dir=folder.parent) as scratch:  # git adds none where files lie
            _git(root, "worktree", "add", "--detach", "--no-checkout", f"{scratch}/{folder.name}", "HEAD")
            name = Path(_git(Path(scratch, folder.name), "rev-parse", "--absolute-git-dir")).name
    folder.mkdir(exist_ok=True)
    link.write_text(f"gitdir: {os.path.relpath(kept / name, link.parent)}\n", encoding="utf-8")
    (kept / name / "gitdir").write_text(f"{link}\n", encoding="utf-8")


def _share_cache(root: Path, folder: Path) -> None:
    """Let the worktree use the checkout's DVC cache and remotes, and bring what dvc.lock names and the cache holds.

    Its local DVC configuration names the cache, and is written last: one that does not is new or was stopped in here,
    and no stage has worked in it. One that does may hold half a stage, which a second checkout would throw away.
    """
    from dvc.config import Config
    from dvc.repo import Repo

    known = Config(str(folder / ".dvc")).read("local")["cache"].get("dir")
    with Repo(str(root)) as repo:
        cache, local = repo.cache.local_cache_dir, repo.config.read("local")
    if known == cache:
        return
    local["cache"]["dir"] = cache
    if known is None:
        with Repo(str(folder), config=local) as repo:
            repo.checkout(force=True, allow_missing=True)
    with Config(str(folder / ".dvc")).edit("local") as config:
        config.update(local)


def _own_lock(folder: Path) -> str | None:
    """The worktree's dvc.lock as a git blob that its index knows: git leaves the file alone, and others may read it."""
    if not (folder / LOCK_FILE).exists():
        return None
    _git(folder, "update-index", "--add", str(LOCK_FILE))
    return _git(folder, "rev-parse", f":{LOCK_FILE}")


def _snapshot(root: Path, lock: str | None = None) -> str:
    """The git tree of the checkout as it is on disk, new files included, ignored ones not; its index is not touched.

    Args:
        lock: the blob that the tree holds as dvc.lock instead of the checkout's.
    """
    with tempfile.TemporaryDirectory() as scratch:
        index = Path(scratch) / "index"
        index.write_bytes(Path(_git(root, "rev-parse", "--path-format=absolute", "--git-path", "index")).read_bytes())
        _git(root, "add", "--all", ".", index=index)
        if lock:
            _git(root, "update-index", "--add", "--cacheinfo", f"100644,{lock},{LOCK_FILE}", index=index)
        return _git(root, "write-tree", index=index)


def _git(folder: Path, *arguments: str, index: Path | None = None) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_INDEX_FILE": str(index)} if index else {}
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise ConfigError(f"cannot prepare a worktree for the overrides: `{' '.join(command)}` in {folder}: {reason}")
    return done.stdout.strip()

"""What a result was made from: the git commit, and the content of files and folders as DVC hashes it."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

DVC_LOCK = Path("dvc.lock")
WRITTEN = ("dvc.lock", "data", "docs/studies", "benchmarks/results.json", "benchmarks/results.md")
"""What runs, studies and `make bench` write into a checkout."""


@dataclass(frozen=True, slots=True)
class Commit:
    """The code that ran."""

    sha: str
    """Empty outside git."""
    dirty: bool
    """Tracked files differ from the commit. What a run itself writes does not count."""


def current_commit(folder: Path | None = None) -> Commit:
    """The checked-out commit of `folder`'s repository, and whether its tracked files differ from it."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        changed = git(
            "status", "--porcelain", "--untracked-files=no", "--", ":/", *(f":(top,exclude){path}" for path in WRITTEN)
        )
        return Commit(git("rev-parse", "HEAD"), bool(changed))
    except (OSError, subprocess.CalledProcessError):
        return Commit("", dirty=False)


def content_md5(path: Path) -> str:
    """The MD5 that DVC gives this content: of a file its bytes', of a folder that of its listing, with ".dir" appended.

    The folder's form is `json.dumps([{"md5", "relpath"}, ...], sort_keys=True)` over its files sorted by relative path
    (dvc_data.hashfile.tree.Tree).

    Raises:
        FileNotFoundError: there is nothing at `path`.
    """
    if not path.is_dir():
        return _file_md5(path)
    listing = [
        {"md5": _file_md5(file), "relpath": file.relative_to(path).as_posix()}
        for file in sorted(_files(path), key=lambda file: file.relative_to(path).as_posix())
    ]
    return hashlib.md5(json.dumps(listing, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def dvc_hash(path: Path) -> str:
    """What `dvc.lock` in the current folder says `path` hashes to, if the size agrees; else the hash is computed.

    Reading the lock costs milliseconds where a leader's weights cost a second.
    """
    for out in _locked_outs():
        if Path(out.get("path", "")) == path and out.get("size") == _size(path):
            return str(out["md5"])
    return content_md5(path)


def _file_md5(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in _files(path)) if path.is_dir() else path.stat().st_size


def _locked_outs() -> Iterator[dict[str, Any]]:
    """Every output recorded in dvc.lock; none if there is no lock yet."""
    if DVC_LOCK.is_file():
        locked = yaml.safe_load(DVC_LOCK.read_text(encoding="utf-8")) or {}
        for stage in locked.get("stages", {}).values():
            yield from stage.get("outs", ())

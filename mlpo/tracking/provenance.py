"""What a result was made from: the git commit, and the content of files and folders as DVC hashes it."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

WRITTEN = ("dvc.lock", "data", "docs/studies", "speed/results.json", "speed/results.md")
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
    (dvc_data.hashfile.tree.Tree). All is read, a second for 500 MB: dvc.lock learns what a stage has written when the
    stage has ended, and never of one that ran without DVC.

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


def _file_md5(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())

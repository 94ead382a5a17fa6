"""A stage's previous output, from the disk or, once DVC has cleared it for a new run, from DVC's cache."""

from __future__ import annotations

from pathlib import Path

import yaml

LOCK_FILE = Path("dvc.lock")


def finished_output(path: Path) -> Path | None:
    """Where the newest finished bytes of a one-file output lie: at its path, else in DVC's cache; None if nowhere.

    DVC deletes a stage's outputs before it runs, which `persist` would prevent; but then DVC would keep no run-cache
    of the stage, and no other worker, and no return to former parameters, could find its result.
    """
    if path.exists():
        return path
    digest = _locked_digest(path)
    if digest is None:
        return None
    from dvc.repo import Repo

    with Repo() as repo:
        cached = Path(repo.cache.local.oid_to_path(digest))
    return cached if cached.exists() else None


def _locked_digest(path: Path) -> str | None:
    """The MD5 that dvc.lock names for an output."""
    if not LOCK_FILE.exists():
        return None
    stages = yaml.safe_load(LOCK_FILE.read_text(encoding="utf-8")).get("stages", {})
    outs = (out for stage in stages.values() for out in stage.get("outs", []))
    return next((out["md5"] for out in outs if out["path"] == path.as_posix()), None)

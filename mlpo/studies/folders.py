"""Where a study's runs work: one worktree each, that takes over what other runs made and remembers what is done."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import yaml
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from mlpo.config import ConfigError
from mlpo.files import write_json_atomic, write_lines_atomic
from mlpo.layout import PROPOSALS, WORK
from mlpo.processes.worktree import LOCK_FILE, checkout_for, code_digest
from mlpo.store import copy_kept
from mlpo.studies.plan import Run, RunId, Step
from mlpo.tracking.provenance import current_commit

RECORDS = WORK / "studies"
STORES = ("evaluation.jsonl", "demonstrate.jsonl", "train_mlpo.jsonl", "calibration.jsonl")
"""Completion stores of stages, beside one for each agent's proposals."""
PATIENCE = 5.0
"""Seconds that an owner's dvc.lock may lack what it made: DVC empties the file before it writes it anew."""


@dataclass
class Record:
    """What is known of a run: kept beside the worktrees, so that a finished run is not even looked into again."""

    key: str
    folder: str = ""
    code: str = ""
    """Digest of the code that the finished parts ran with."""
    commit: str = ""
    dirty: bool = False
    """The commit does not say all: files differed from it."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Finished part -> what it took."""


class StudyFolders:
    """The worktrees of a study's runs. Several threads may enter different runs at a time."""

    def __init__(self, root: Path, runs: Sequence[Run]) -> None:
        self._root = root
        self._runs = {run.id: run for run in runs}
        self._preparing = Lock()
        self._code = code_digest(root)
        self._commit = current_commit(root)
        self.records = {run.id: self._read(run) for run in runs}

    def is_done(self, run: RunId, part: str) -> bool:
        """Whether this part ran to its end with these parameters and this code, and its worktree is still there."""
        return part in self.records[run].seconds

    def finish(self, run: RunId, part: str, seconds: float) -> None:
        """Remember that a part is done."""
        record = self.records[run]
        record.seconds[part] = round(seconds, 1)
        write_json_atomic(self._record_path(self._runs[run]), asdict(record))

    def log_path(self, study: str, run: RunId) -> Path:
        """What the run's stages say goes here."""
        return self._root / RECORDS / study / f"{run}.log"

    def folder(self, run: RunId) -> Path:
        """The run's worktree."""
        return Path(self.records[run].folder)

    @contextmanager
    def enter(self, step: Step) -> Iterator[Path]:
        """The run's worktree, held until the end, with everything in place that the step takes over.

        Raises:
            ConfigError: git is missing, or somebody else works in the worktree.
        """
        run = self._runs[step.id.run]
        written = self._root / RECORDS / f"{run.key}.yaml"
        lines = yaml.safe_dump(run.raw, sort_keys=False, allow_unicode=True).encode().splitlines()
        with self._preparing:
            _quiet_dvc()
            write_lines_atomic(written, lines)
            held = checkout_for(self._root, {}, written, in_place=False)
            folder = held.__enter__()
        try:
            with self._preparing:
                self._furnish(run, folder, step)
            yield folder
        finally:
            held.__exit__(None, None, None)

    def _furnish(self, run: Run, folder: Path, step: Step) -> None:
        record = self.records[run.id]
        record.folder, record.code = str(folder), self._code
        record.commit, record.dirty = self._commit.sha, self._commit.dirty
        for path in (folder / PROPOSALS).glob("*.jsonl"):
            if path.stem not in run.params.team:
                path.unlink()  # `dvc.lock` of the checkout knows agents that this team has not
        take_over(folder, {stage: self.folder(owner) for stage, owner in step.takes_over})
        names = (*STORES, *(f"proposals/{agent}.jsonl" for agent in run.params.team))
        for name in names:
            copy_kept(folder / WORK / name, (source / WORK / name for source in self._sources(run)))

    def _sources(self, run: Run) -> Iterator[Path]:
        """Where completions may be taken from: their keys name all that they depend on."""
        yield self._root
        for other in self._runs.values():
            if other.id.seed == run.id.seed and other.id != run.id and self.records[other.id].folder:
                yield self.folder(other.id)

    def _record_path(self, run: Run) -> Path:
        return self._root / RECORDS / f"{run.key}.json"

    def _read(self, run: Run) -> Record:
        path = self._record_path(run)
        if not path.exists():
            return Record(run.key)
        record = Record(**json.loads(path.read_text(encoding="utf-8")))
        if not Path(record.folder).is_dir():
            return Record(run.key)
        if record.code != self._code:
            record.seconds = {}  # DVC finds out what is stale
        return record


def _entries(stages: Mapping[str, Path]) -> dict[str, Any]:
    """What the owners' locks say of these stages; None for one that is missing and does not come within PATIENCE."""

    def look() -> dict[str, Any]:
        return {stage: read_lock(owner)["stages"].get(stage) for stage, owner in stages.items()}

    incomplete = retry_if_result(lambda entries: None in entries.values())
    stop = stop_after_delay(PATIENCE)
    return Retrying(retry=incomplete, stop=stop, wait=wait_fixed(0.1), retry_error_callback=lambda _: look())(look)


def take_over(folder: Path, stages: Mapping[str, Path]) -> None:
    """Let `folder` hold what other worktrees' stages made: their entries of dvc.lock, and the files from the cache.

    Raises:
        ConfigError: a worktree or the cache has lost it.
    """
    if not stages:
        return
    own, theirs = read_lock(folder), _entries(stages)
    if lost := [f"{stage} of {stages[stage]}" for stage, entry in theirs.items() if entry is None]:
        raise ConfigError(f"{', '.join(lost)} is gone; delete the files in {RECORDS} and run the study again")
    changed = {stage: entry for stage, entry in theirs.items() if own["stages"].get(stage) != entry}
    outputs = [out["path"] for entry in theirs.values() for out in entry["outs"]]
    if not changed and all((folder / path).exists() for path in outputs):
        return
    own["stages"].update(theirs)
    text = yaml.safe_dump(own, sort_keys=False, allow_unicode=True)
    write_lines_atomic(folder / LOCK_FILE, text.encode().splitlines())
    _checkout(folder, outputs)


def read_lock(folder: Path) -> dict[str, Any]:
    """What dvc.lock says of the stages that ran; nothing if none did, or while it is being written."""
    try:
        read = yaml.safe_load((folder / LOCK_FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, yaml.YAMLError):
        read = None
    return {"schema": "2.0", "stages": {}} | (read or {})


def _quiet_dvc() -> None:
    """A new worktree lacks outputs, and DVC would warn of each."""
    import dvc.repo  # noqa: F401  its import sets up its loggers

    for name in ("dvc", "dvc_data"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _checkout(folder: Path, outputs: Iterable[str]) -> None:
    """`dvc checkout` as a program: as a library it looks targets up in the dvc.yaml of the current folder first."""
    command = [sys.executable, "-m", "dvc", "checkout", "--force", "--quiet", *outputs]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ConfigError(
            f"{folder}: what another run made cannot be taken from DVC's cache ({' '.join(done.stderr.split())}); "
            f"delete the files in {RECORDS} and run the study again"
        )

"""Where an unfinished training run lies: checkpoints, journals, the id of its tracker's run, under one fingerprint.

A run goes on only with the parameters and inputs it was started with; anything else is refused, naming what changed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlpo.config import ConfigError
from mlpo.training.run_log import RunLog

CHECKPOINT_PREFIX = "checkpoint-"


class RunFolder:
    """The folder of one unfinished run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.curve = RunLog(folder / "curve.jsonl")
        self.rollouts = RunLog(folder / "rollouts.jsonl")

    def claim(self, fingerprint: Mapping[str, Any]) -> None:
        """Make this folder the run's own, or go on with it if it already is.

        Args:
            fingerprint: flat; everything the result depends on, by name.
        Raises:
            ConfigError: an unfinished run with another fingerprint lies here.
        """
        marker = self.folder / "fingerprint.json"
        wanted = json.loads(json.dumps(fingerprint))
        if marker.exists() and self.checkpoint() is not None:
            found = json.loads(marker.read_text(encoding="utf-8"))
            changed = [key for key in sorted({*found, *wanted}) if found.get(key) != wanted.get(key)]
            if changed:
                raise ConfigError(
                    f"{self.folder}: an unfinished run lies here (step {self.checkpoint_step()}) that was started with "
                    f"other values: {'; '.join(_difference(k, found, wanted) for k in changed)}. "
                    f"Set them back to go on, or delete {self.folder} to start afresh"
                )
            return
        self.clear()
        self.folder.mkdir(parents=True)
        scratch = marker.with_suffix(".tmp")
        scratch.write_text(json.dumps(wanted, indent=2, sort_keys=True), encoding="utf-8")
        scratch.replace(marker)

    def checkpoint(self) -> Path | None:
        """The newest whole checkpoint; one that was being written when the run ended does not bear the name."""
        found = [p for p in self.folder.glob(f"{CHECKPOINT_PREFIX}*") if p.is_dir()]
        return max(found, key=_step_of, default=None)

    def checkpoint_step(self) -> int:
        """The step of the newest checkpoint; 0 without one."""
        newest = self.checkpoint()
        return _step_of(newest) if newest else 0

    def rewind(self) -> int:
        """Bring the journals back to the newest checkpoint, and return its step."""
        step = self.checkpoint_step()
        self.curve.rewind(step)
        self.rollouts.rewind(step)
        return step

    @property
    def run_id(self) -> str | None:
        """The tracker's run that this training is logged to."""
        file = self.folder / "run_id"
        return file.read_text(encoding="utf-8") if file.exists() else None

    @run_id.setter
    def run_id(self, value: str) -> None:
        (self.folder / "run_id").write_text(value, encoding="utf-8")

    def set_aside(self) -> Path:
        """Move a run that must not go on out of the way, for its roll-outs to be looked at."""
        aside = self.folder.with_name(f"{self.folder.name}-stopped")
        shutil.rmtree(aside, ignore_errors=True)
        self.folder.rename(aside)
        return aside

    def clear(self) -> None:
        """Forget the run: it is finished, or it never got to a checkpoint."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix(CHECKPOINT_PREFIX))


def _difference(key: str, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    return f"{key} was {json.dumps(found.get(key))} and is now {json.dumps(wanted.get(key))}"

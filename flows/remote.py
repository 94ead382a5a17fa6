"""Workers share results: a stage is looked for in DVC's default remote before it runs, and sent there when it is done.

Switched on by MLPO_SHARE=1 in a worker's environment. What is looked up is DVC's run-cache: the same code, parameters
and inputs have the same entry, so what one worker has finished, all others fetch.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

SWITCH = "MLPO_SHARE"
PULL = "--pull"
"""What `dvc repro` needs to be told to look into the remote."""

_DVC_FAILED = re.compile(r"^ERROR: (?:unexpected error - |failed to (?:transfer|pull|push|fetch) )(.*)", re.MULTILINE)


def is_shared() -> bool:
    """Whether this worker shares what it computes."""
    return os.environ.get(SWITCH, "").lower() in {"1", "true", "yes"}


def has_default(folder: Path) -> bool:
    """Whether DVC, in this checkout, has a default remote; said in any of its configuration files."""
    from dvc.config import Config

    return bool(Config(str(folder / ".dvc"))["core"].get("remote"))


def push(stage: str) -> list[str]:
    """The command that sends a stage's results and the run-cache; objects that are there already are not sent again."""
    return [sys.executable, "-m", "dvc", "push", "--run-cache", stage]


def failure(said: str) -> str:
    """What DVC itself failed at, and no stage; empty if nothing. With a remote, that is one that is down or refuses."""
    found = _DVC_FAILED.findall(said)
    return found[-1].strip() if found else ""

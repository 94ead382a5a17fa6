"""The task: one DVC stage in its own process group; its exit code is a retry, a failure or a skip."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from prefect import State, task
from prefect.artifacts import update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.exceptions import PrefectException
from prefect.logging import get_run_logger
from prefect.runtime import flow_run, task_run
from prefect.states import Completed, Failed

from flows import remote
from flows.process import Ended, run_kept
from mlpo.exit_codes import TRANSIENT, USER_MISTAKE
from mlpo.progress_lines import read_progress

RETRY_SECONDS = [5.0, 30.0, 120.0]
LAST_LINES = 20
"""Of a stage, kept to say why it failed."""
UP_TO_DATE = "up to date"
QUIET_SECONDS = 300.0
"""Pause after a bar that could not be drawn. Prefect's client asks a dead server for a minute; the stage goes on."""

_NOTHING_TO_DO = ("didn't change, skipping", "is cached - skipping run")
_DVC_SAYS = re.compile(r"ERROR: |WARNING: |Running stage |> ")
_DVC_ADVISES = re.compile(
    r"(Generating|Updating) lock file|Data and pipelines|To track|To enable|Use `dvc push`|\s*(git add|dvc config) |$"
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How `dvc repro --single-item` ended."""

    stage: str
    exit_code: int
    """The stage's own exit code where it ran, else DVC's."""
    skipped: bool
    """DVC found nothing to do."""
    message: str
    """Why it failed, one line; empty on success."""
    last_lines: tuple[str, ...] = field(default=(), compare=False)
    """What it said last."""
    num_tries: int = 1
    """How often it was run, retries included."""


@dataclass(slots=True)
class Share:
    """A stage's part of the pipeline's progress artifact, in percent."""

    artifact: UUID
    begin: float
    size: float
    quiet_until: float = 0.0
    """On the monotonic clock; not 0 once the bar could not be drawn."""

    def show(self, line: str) -> str:
        """Move the bar if this line of the stage says how far it is; what `move` says."""
        reached = read_progress(line)
        return self.move(reached.share, line) if reached else ""

    def move(self, done: float, description: str) -> str:
        """Draw the bar at this fraction of the stage. Where that fails: why, the first time, and else an empty text."""
        if time.monotonic() < self.quiet_until:
            return ""
        try:
            update_progress_artifact(self.artifact, self.begin + self.size * done, description=description)
        except (httpx.HTTPError, PrefectException) as error:  # it was deleted or the server is down: only a picture
            told, self.quiet_until = self.quiet_until > 0, time.monotonic() + QUIET_SECONDS
            return "" if told else f"the progress bar can't be drawn, the stage goes on: {' '.join(str(error).split())}"
        return ""


class StageFailedError(RuntimeError):
    """A stage ended with an exit code other than 0."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.message)
        self.outcome = outcome
        self.exit_code = outcome.exit_code


def is_transient(task: Any, task_run: Any, state: State[Any]) -> bool:
    """Retry only what can pass: a stage that said so by its exit code. The names of the arguments are Prefect's."""
    # Prefect 3.7 wraps a returned state once more
    data = state.data.data if isinstance(state.data, State) else state.data
    return isinstance(data, StageFailedError) and data.exit_code == TRANSIENT


@task(
    name="stage",
    task_run_name="{stage}",
    retries=len(RETRY_SECONDS),
    retry_delay_seconds=RETRY_SECONDS,
    retry_jitter_factor=0.5,
    retry_condition_fn=is_transient,
    cache_policy=NO_CACHE,
)
def run_stage(stage: str, folder: Path, share: Share) -> State[Any]:
    """Bring one stage up to date with `dvc repro --single-item`."""
    logger = get_run_logger()

    def log(line: str) -> None:
        logger.info("%s", line)
        if told := share.show(line):
            logger.warning("%s", told)

    outcome = repro(stage, folder, log=log, flow_run_id=str(flow_run.id or ""))
    if outcome.skipped:
        logger.info("skipped: %s", UP_TO_DATE)
        return Completed(name="Skipped", message=UP_TO_DATE)
    if outcome.exit_code:
        tried = replace(outcome, num_tries=task_run.run_count or 1)
        return Failed(message=outcome.message, data=StageFailedError(tried))
    return Completed(message="done")


def repro(stage: str, folder: Path, *, log: Callable[[str], object] = print, flow_run_id: str = "") -> Outcome:
    """Run `dvc repro --single-item` in `folder`, as a process group of its own that is ended however this returns.

    Stage `code` goes first: it writes down what the stage reaches now, without which an edit would not be seen.
    With sharing on, what another worker has finished is fetched, and what this one finishes is sent to the remote.
    """
    shared = remote.is_shared()
    if shared and not remote.has_default(folder):
        reason = f"{remote.SWITCH} is set, and DVC has no default remote; add one with `dvc remote add --default`"
        return Outcome(stage, USER_MISTAKE, False, f"stage {stage}: {reason}")
    run = partial(run_kept, folder=folder, log=log, flow_run_id=flow_run_id, skip=_DVC_ADVISES.match)
    pull = [remote.PULL] if shared else []
    outcome = _outcome(stage, run([sys.executable, "-m", "dvc", "repro", "--single-item", *pull, "code", stage]))
    if outcome.exit_code or not shared:
        return outcome
    sent = run(remote.push(stage))
    return _outcome(stage, sent) if sent.exit_code else outcome


def _outcome(stage: str, ended: Ended) -> Outcome:
    text, last_lines = "\n".join(ended.lines), tuple(ended.lines[-LAST_LINES:])
    if ended.exit_code == 0:
        return Outcome(stage, 0, any(words in text for words in _NOTHING_TO_DO), "", last_lines)
    if holder := _holder(text):
        reason = f"another DVC command{holder} is at work on the same files; wait for it, or run with other parameters"
        return Outcome(stage, TRANSIENT, False, f"stage {stage}: {reason}", last_lines)
    if "RWLock-file" in text and ("corrupted" in text or "format error" in text):
        reason = "DVC was killed while it wrote its file of locks; delete .dvc/tmp/rwlock and run again"
        return Outcome(stage, USER_MISTAKE, False, f"stage {stage}: {reason}", last_lines)
    exited = re.search(r"exited with (-?\d+)", text)
    if not exited and remote.is_shared() and (reason := remote.failure(text)):
        reason = f"DVC's remote is down or refuses ({reason}); see its address and keys, or unset {remote.SWITCH}"
        return Outcome(stage, TRANSIENT, False, f"stage {stage}: {reason}", last_lines)
    own_lines = [line for line in ended.lines if not _DVC_SAYS.match(line)]
    errors = (line for line in ended.lines if line.startswith("ERROR: "))
    reason = own_lines[-1] if exited and own_lines else next(errors, "no output")
    exit_code = int(exited[1]) if exited else 1
    return Outcome(stage, exit_code, False, f"stage {stage}: exit code {exit_code}: {reason}", last_lines)


def _holder(text: str) -> str:
    """Who holds the files, where DVC says that somebody does, such as " (PID 7)"; else empty.

    What a killed DVC left in its file of locks, the next one clears by itself (dvc/rwlock.py), with a warning.
    """
    if "is busy, it is being blocked by" not in text and "Unable to acquire lock" not in text:
        return ""
    holders = ", ".join(re.findall(r"PID (\d+)", text)) or "unknown"
    return f" (PID {holders})"

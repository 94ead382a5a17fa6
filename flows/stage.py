"""The task: one DVC stage in its own process group; its exit code is a retry, a failure or a skip."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from uuid import UUID

import psutil
from prefect import State, task
from prefect.artifacts import update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

TRANSIENT = 75
"""Exit code (EX_TEMPFAIL) of a stage that may succeed if it is tried again: a server was down, an engine died."""
RETRY_SECONDS = [5.0, 30.0, 120.0]
GRACE_SECONDS = 15
"""From SIGTERM to SIGKILL: time for a stage to close its MLflow run and its files. A worker grants its flows 30 s."""
PROGRESS_SECONDS = 10
"""A progress bar redraws one line; this often its newest picture is logged."""
UP_TO_DATE = "up to date"

_PROGRESS = re.compile(r".+: (\d+) of (\d+) ")
"""How a stage says how far it is; see mlpo/stages/progress.py."""
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


@dataclass(frozen=True, slots=True)
class Share:
    """A stage's part of the pipeline's progress artifact, in percent."""

    artifact: UUID
    begin: float
    size: float

    def show(self, line: str) -> None:
        """Move the bar if this line of the stage says how far it is."""
        if said := _PROGRESS.match(line):
            done, total = int(said[1]), max(int(said[2]), 1)
            update_progress_artifact(self.artifact, self.begin + self.size * done / total, description=line)


class StageFailedError(RuntimeError):
    """A stage ended with an exit code other than 0."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.message)
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
        share.show(line)

    outcome = repro(stage, folder, log=log, flow_run_id=str(flow_run.id or ""))
    if outcome.skipped:
        logger.info("skipped: %s", UP_TO_DATE)
        return Completed(name="Skipped", message=UP_TO_DATE)
    if outcome.exit_code:
        return Failed(message=outcome.message, data=StageFailedError(outcome))
    return Completed(message="done")


def repro(stage: str, folder: Path, *, log: Any = print, flow_run_id: str = "") -> Outcome:
    """Run `dvc repro --single-item` in `folder`, as a process group of its own that is ended however this returns."""
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "MLPO_FLOW_RUN_ID": flow_run_id,
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "-m", "dvc", "repro", "--single-item", stage]
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    ) as process:
        lines = []
        try:
            assert process.stdout is not None
            for line in _lines(process.stdout):
                if not _DVC_ADVISES.match(line):
                    log(line)
                    lines.append(line)
            code = process.wait()
        finally:
            end_group(process.pid)
    return _outcome(stage, code, lines)


def _lines(pipe: IO[bytes]) -> Iterator[str]:
    """Whole lines as they come; of a progress bar, which ends no line, its picture every `PROGRESS_SECONDS`."""
    rest, shown = b"", time.monotonic()
    while chunk := os.read(pipe.fileno(), 65536):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if text := _picture(line):
                yield text
        if b"\r" in rest and time.monotonic() - shown > PROGRESS_SECONDS and (text := _picture(rest)):
            yield text
            shown = time.monotonic()
    if text := _picture(rest):
        yield text


def _picture(line: bytes) -> str:
    """What a terminal would show of a line that was redrawn with carriage returns."""
    return line.rstrip(b"\r").rsplit(b"\r", 1)[-1].decode(errors="replace").rstrip()


def _outcome(stage: str, code: int, lines: list[str]) -> Outcome:
    text = "\n".join(lines)
    if code == 0:
        return Outcome(stage, 0, any(words in text for words in _NOTHING_TO_DO), "")
    if "is busy, it is being blocked by" in text or "Unable to acquire lock" in text:
        holder = ", ".join(re.findall(r"PID (\d+)", text))
        who = f" (PID {holder})" if holder else ""
        reason = f"another DVC command{who} is at work on the same files; wait for it, or run with other parameters"
        return Outcome(stage, TRANSIENT, False, f"stage {stage}: {reason}")
    exited = re.search(r"exited with (-?\d+)", text)
    own_lines = [line for line in lines if not _DVC_SAYS.match(line)]
    reason = own_lines[-1] if exited and own_lines else next((i for i in lines if i.startswith("ERROR: ")), "no output")
    exit_code = int(exited[1]) if exited else 1
    return Outcome(stage, exit_code, False, f"stage {stage}: exit code {exit_code}: {reason}")


def end_group(group: int, grace_seconds: float = GRACE_SECONDS) -> None:
    """End every process of a group: SIGTERM, and SIGKILL for what is left after the grace time."""
    deadline = time.monotonic() + grace_seconds
    try:
        os.killpg(group, signal.SIGTERM)
        while _is_alive(group) and time.monotonic() < deadline:
            time.sleep(0.05)
    except ProcessLookupError:
        return
    finally:  # also when the wait itself is interrupted: a second Ctrl-C means now
        if _is_alive(group):
            os.killpg(group, signal.SIGKILL)


def _is_alive(group: int) -> bool:
    """Whether a group has a member that is not a zombie (those wait for a parent to notice, and hold nothing)."""
    for process in psutil.process_iter(["status"]):
        try:
            if os.getpgid(process.pid) == group and process.info["status"] != psutil.STATUS_ZOMBIE:
                return True
        except (ProcessLookupError, PermissionError):  # it ended while we looked, or is not ours
            continue
    return False

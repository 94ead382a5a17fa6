"""A word of the command line as the work of a flow: its lines in the run's log, its exit code as the run's end."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from prefect import State
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Failed

from flows.process import run_kept
from flows.stage import LAST_LINES, Outcome, StageFailedError


def run_word(word: str, *arguments: str) -> Outcome:
    """Run `mlpo <word> <arguments>` in the current folder, as a process group that ends with this flow."""
    logger = get_run_logger()
    command = [sys.executable, "-m", "mlpo.cli", word, *arguments]
    ended = run_kept(command, Path.cwd(), log=lambda line: logger.info("%s", line), flow_run_id=str(flow_run.id or ""))
    said = ended.lines[-1] if ended.lines else "no output"
    message = f"mlpo {word}: exit code {ended.exit_code}: {said}" if ended.exit_code else said
    return Outcome(word, ended.exit_code, False, message, tuple(ended.lines[-LAST_LINES:]))


def failed(outcome: Outcome) -> State[Any]:
    """The end of a run whose command ended badly."""
    return Failed(message=outcome.message, data=StageFailedError(outcome))

"""The champion on today's test problems, as a flow with a nightly schedule that is shipped inactive."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from prefect import State, flow
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from flows.failure import report_failure
from flows.process import ends_with_worker, run_kept
from flows.stage import LAST_LINES, Outcome, StageFailedError
from mlpo.config import ConfigError
from mlpo.tracking.connect import connect
from mlpo.tracking.registry import CHAMPION, version_of

STAGE = "evaluate"


@flow(on_failure=[report_failure], on_crashed=[report_failure])
def evaluate_champion() -> State[Any]:
    """Play the champion with its own team on this checkout's test problems; its version carries the result.

    Another champion or other test problems are news; what was answered before is kept and not asked again.
    """
    logger = get_run_logger()
    try:
        version = version_of(connect(), CHAMPION)
    except ConfigError as error:
        return Failed(message=str(error), data=error)
    command = [sys.executable, "-m", "mlpo.cli", STAGE, "--leader", str(version)]
    with ends_with_worker():
        ended = run_kept(
            command, Path.cwd(), log=lambda line: logger.info("%s", line), flow_run_id=str(flow_run.id or "")
        )
    said = ended.lines[-1] if ended.lines else "no output"
    if ended.exit_code:
        message = f"version {version}: exit code {ended.exit_code}: {said}"
        outcome = Outcome(STAGE, ended.exit_code, False, message, tuple(ended.lines[-LAST_LINES:]))
        return Failed(message=message, data=StageFailedError(outcome))
    create_markdown_artifact(said, key="champion", description=f"Version {version}")
    return Completed(message=said)

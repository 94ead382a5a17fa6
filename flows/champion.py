"""The champion on today's test problems, as a flow with a nightly schedule that is shipped inactive."""

from __future__ import annotations

from typing import Any

from prefect import State, flow
from prefect.artifacts import create_markdown_artifact
from prefect.states import Completed, Failed

from flows.command import failed, run_word
from flows.failure import report_failure
from flows.process import ends_with_worker
from mlpo.config import ConfigError
from mlpo.tracking.connect import connect
from mlpo.tracking.registry import CHAMPION, version_of


@flow(on_failure=[report_failure], on_crashed=[report_failure])
def evaluate_champion() -> State[Any]:
    """Play the champion with its own team on this checkout's test problems; its version carries the result.

    Another champion or other test problems are news; what was answered before is kept and not asked again.
    """
    try:
        version = version_of(connect(), CHAMPION)
    except ConfigError as error:
        return Failed(message=str(error), data=error)
    with ends_with_worker():
        outcome = run_word("evaluate", "--leader", str(version))
    if outcome.exit_code:
        return failed(outcome)
    create_markdown_artifact(outcome.message, key="champion", description=f"Version {version}")
    return Completed(message=outcome.message)

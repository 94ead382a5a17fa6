"""What a failed run leaves for whoever is called: an artifact with stage, exit code, last lines, and what to do."""

from __future__ import annotations

from typing import Any

from prefect import Flow, State, get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.objects import FlowRun
from prefect.logging.loggers import flow_run_logger

from flows.stage import Outcome, StageFailedError
from mlpo.config import ConfigError
from mlpo.exit_codes import TRANSIENT, USER_MISTAKE

KEPT = "What was finished is kept: run the deployment again, and it goes on there."
ADVICE = {
    1: f"Read the last lines: a guard that stopped training says which parameter to turn, all else is a defect. {KEPT}",
    USER_MISTAKE: "A parameter or a file is wrong: mend what the line above names, and run again.",
    TRANSIENT: f"A server did not answer or an engine died: bring it back. {KEPT}",
    128 + 9: "It was killed, on most machines for want of memory: `mlpo run --dry-run` estimates it; lower "
    f"runtime.batch_tokens or runtime.micro_batch_tokens. {KEPT}",
    128 + 15: f"It was told to stop. {KEPT}",
}
CRASHED = f"Its process ended before it could say why, or lost its worker: see that one runs (`make worker`). {KEPT}"


def report_failure(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Leave the artifact `failure` with the run, and one line in its log. A hook: the arguments are Prefect's."""
    outcome, advice = _outcome_in(state), _advice(state)
    facts = {"run": flow_run.name, "message": state.message or state.name or ""}
    if outcome:
        facts |= {"stage": outcome.stage, "exit code": str(outcome.exit_code), "tries": str(outcome.num_tries)}
    lines = "\n".join(outcome.last_lines) if outcome else ""
    said = f"\n\n**Last lines**\n\n```text\n{lines}\n```" if lines else ""
    table = "\n".join(f"| {name} | {_cell(value)} |" for name, value in facts.items())
    artifact = ArtifactCreate(
        key="failure",
        type="markdown",
        description=facts["message"],
        data=f"| | |\n|---|---|\n{table}\n\n**What to do**: {advice}{said}",
        flow_run_id=flow_run.id,
    )
    with get_client(sync_client=True) as client:
        client.create_artifact(artifact)
    flow_run_logger(flow_run, flow).error("%s. %s", facts["message"].rstrip("."), advice)


def _advice(state: State[Any]) -> str:
    outcome = _outcome_in(state)
    if outcome is None:
        mistake = isinstance(_data_of(state), ConfigError)
        return CRASHED if state.is_crashed() else ADVICE[USER_MISTAKE if mistake else 1]
    code = outcome.exit_code if outcome.exit_code >= 0 else 128 - outcome.exit_code
    return ADVICE.get(code, ADVICE[1])


def _outcome_in(state: State[Any]) -> Outcome | None:
    data = _data_of(state)
    return data.outcome if isinstance(data, StageFailedError) else None


def _data_of(state: State[Any]) -> Any:
    """What a run ended with; Prefect keeps it in a record, and its 3.7 wraps a state that a flow returns in another."""
    if isinstance(state.data, State):
        return _data_of(state.data)
    return getattr(state.data, "result", state.data)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")

"""Who is champion, as flows: the gate's decision, a person's word where asked for, or the way back; each says why."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypedDict

from prefect import State, flow, get_client
from prefect.artifacts import create_table_artifact
from prefect.exceptions import FlowPauseTimeout
from prefect.flow_runs import pause_flow_run
from prefect.input import RunInput
from prefect.runtime import flow_run
from prefect.states import Completed, Failed, Running
from pydantic import Field

from flows.failure import report_failure
from flows.process import ends_with_worker
from mlpo.config import ConfigError, EvaluateConfig, RegisterConfig, load_params
from mlpo.layout import PARAMS
from mlpo.tracking import promotion
from mlpo.tracking.decisions import Decision

Version = Annotated[int, Field(ge=1)]
Hours = Annotated[float, Field(gt=0, le=168)]
POLL_SECONDS = 5
"""How often a run that waits for a person looks whether they have answered."""


class Terms(TypedDict):
    """What a promotion is decided by."""

    gate: RegisterConfig
    evaluate: EvaluateConfig
    seed: int
    force: bool


class Approval(RunInput):
    """A person's word on a promotion that the gate, or force, allows."""

    approved: bool = Field(description="Ticked: it becomes champion. Not ticked: it is refused.")
    by: str = Field(min_length=1, description="Who you are; recorded.")
    reason: str = Field(min_length=1, description="Why; recorded.")


@flow(on_failure=[report_failure], on_crashed=[report_failure])
def promote(
    version: Version,
    force: bool = False,
    reason: str | None = None,
    ask_approval: bool = False,
    approval_hours: Hours = 24.0,
) -> State[Any]:
    """Make a version the champion if it clears the gate of params.yaml; the decision is recorded either way.

    Args:
        version: Number of the registered leader to decide about.
        force: Promote even if the gate refuses; needs a reason.
        reason: Recorded with the decision.
        ask_approval: Show the figures and wait for a person's word before a promotion; the run's page has the form.
        approval_hours: How long to wait for that word. None by then is a refusal.
    """
    try:
        params = load_params(Path.cwd() / PARAMS)
        terms = Terms(gate=params.register_, evaluate=params.evaluate, seed=params.seed, force=force)
        if not ask_approval:
            return _decided(promotion.promote(version, **terms, reason=reason))
        with ends_with_worker():
            return _decided(_after_a_word(version, terms, reason, approval_hours))
    except ConfigError as error:
        return Failed(message=str(error), data=error)


@flow(on_failure=[report_failure], on_crashed=[report_failure])
def rollback(reason: str | None = None) -> State[Any]:
    """Make the previous champion the champion again.

    Args:
        reason: Recorded with the decision.
    """
    try:
        return _decided(promotion.rollback(reason))
    except ConfigError as error:
        return Failed(message=str(error), data=error)


def _after_a_word(version: int, terms: Terms, reason: str | None, hours: float) -> Decision:
    """As `promotion.promote`, but what would be promoted is only if a person says so in time."""
    considered = promotion.consider(version, **terms, reason=reason)
    if not considered.promoted:
        return promotion.promote(version, **terms, reason=reason, agreed=considered)
    approval = _ask(considered, hours)
    if approval is None:
        silence = f"nobody approved it in {hours:g} hours"
        return promotion.refuse(considered, f"{silence} (the gate: {considered.reason})")
    said = f"{approval.by}: {approval.reason}"
    if not approval.approved:
        return promotion.refuse(considered, f"refused by {said} (the gate: {considered.reason})")
    reasons = "; ".join(filter(None, (reason, f"approved by {said}")))
    return promotion.promote(version, **terms, reason=reasons, agreed=considered)


def _ask(considered: Decision, hours: float) -> Approval | None:
    """A person's word, asked for in Prefect's UI with every figure; None if there is none in time."""
    cells = ((row["what"], row["value"].replace("|", "\\|")) for row in _rows(considered))
    figures = "\n".join(f"| {what} | {value} |" for what, value in cells)
    question = f"Shall version {considered.version} become champion?\n\n| what | value |\n|---|---|\n{figures}"
    _show(considered, f"Version {considered.version} waits for a person's word: {considered.reason}")
    try:
        return pause_flow_run(
            Approval.with_initial_data(description=question), timeout=round(hours * 3600), poll_interval=POLL_SECONDS
        )
    except FlowPauseTimeout:
        # The server would turn every state after a pause that nobody ended into its own failure. It is a refusal.
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(flow_run.id, Running(), force=True)
        return None


def _decided(decision: Decision) -> State[Any]:
    _show(decision, f"Version {decision.version}: {decision.reason}")
    # A refusal is a decision, not a failure: it has a name of its own and nothing to retry.
    return Completed(name="Promoted" if decision.promoted else "Refused", message=decision.reason)


def _show(decision: Decision, description: str) -> None:
    create_table_artifact(_rows(decision), key="decision", description=description)


def _rows(decision: Decision) -> list[dict[str, str]]:
    return [{"what": name.replace("_", " "), "value": value} for name, value in decision.rows().items()]

"""Who is champion, as flows: the gate's decision, or the way back, each with an artifact that says why."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from prefect import State, flow
from prefect.artifacts import create_table_artifact
from prefect.states import Completed, Failed
from pydantic import Field

from mlpo.config import ConfigError, load_params
from mlpo.layout import PARAMS
from mlpo.tracking import promotion
from mlpo.tracking.decisions import Decision

Version = Annotated[int, Field(ge=1)]


@flow
def promote(version: Version, force: bool = False, reason: str | None = None) -> State[Any]:
    """Make a version the champion if it clears the gate of params.yaml; the decision is recorded either way.

    Args:
        version: Number of the registered leader to decide about.
        force: Promote even if the gate refuses; needs a reason.
        reason: Recorded with the decision.
    """
    try:
        params = load_params(Path.cwd() / PARAMS)
        decision = promotion.promote(
            version, gate=params.register_, evaluate=params.evaluate, seed=params.seed, force=force, reason=reason
        )
    except ConfigError as error:
        return Failed(message=str(error), data=error)
    return _decided(decision)


@flow
def rollback(reason: str | None = None) -> State[Any]:
    """Make the previous champion the champion again.

    Args:
        reason: Recorded with the decision.
    """
    try:
        return _decided(promotion.rollback(reason))
    except ConfigError as error:
        return Failed(message=str(error), data=error)


def _decided(decision: Decision) -> State[Any]:
    rows = [{"what": name.replace("_", " "), "value": value} for name, value in decision.rows().items()]
    create_table_artifact(rows, key="decision", description=f"Version {decision.version}: {decision.reason}")
    # A refusal is a decision, not a failure: it has a name of its own and nothing to retry.
    return Completed(name="Promoted" if decision.promoted else "Refused", message=decision.reason)

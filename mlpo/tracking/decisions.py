"""Who became champion and why: a decision, kept on both versions and in the run that registered the challenger."""

from __future__ import annotations

import getpass
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from mlpo.method.metrics.evaluation import Interval
from mlpo.tracking.connect import Connection
from mlpo.tracking.gate import Comparison
from mlpo.tracking.stage_run import FLOW_RUN, flow_run_id

NAME = "leader"
"""The registered model."""
DECISION = "decision"
"""Tag of a version: the last decision about it, as JSON."""
AS_CHAMPION = "decision.as_champion"
"""Tag of a version: the last decision about a challenger while it was champion, as JSON."""


def who() -> str:
    """The user and host that decide, and the Prefect flow run if one does."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = str(os.getuid())
    flow_run = flow_run_id()
    return f"{user}@{socket.gethostname()}" + (f", {FLOW_RUN} {flow_run}" if flow_run else "")


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about one version, why, by whom and when."""

    version: int
    promoted: bool
    reason: str
    champion: int | None = None
    """The version that was champion."""
    comparison: Comparison | None = None
    """Every figure the gate looked at; None where nothing could be compared."""
    forced: bool = False
    by: str = field(default_factory=who)
    at: str = field(default_factory=now)

    def as_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Decision:
        """The opposite of `as_json`; fields it does not know are passed over."""
        stored: dict[str, Any] = json.loads(text)
        known = {name: stored[name] for name in cls.__dataclass_fields__ if name in stored}
        if compared := known.get("comparison"):
            known["comparison"] = Comparison(**{**compared, "interval": Interval(*compared["interval"])})
        return cls(**{"by": "", "at": ""} | known)

    def rows(self) -> dict[str, str]:
        """Every figure in words, for a table."""
        flat: dict[str, Any] = asdict(self)
        return {name: str(value) for name, value in (flat | (flat.pop("comparison") or {})).items()}


def decision_in(tags: Mapping[str, str]) -> Decision | None:
    """The last decision about a version, in its tags."""
    return Decision.from_json(tags[DECISION]) if DECISION in tags else None


def record(connection: Connection, decision: Decision) -> None:
    """Keep the decision on the version, on the champion it met, and in the run that registered the version."""
    client, text = connection.client, decision.as_json()
    client.set_model_version_tag(NAME, str(decision.version), DECISION, text)
    if decision.champion is not None:
        client.set_model_version_tag(NAME, str(decision.champion), AS_CHAMPION, text)
    run_id = client.get_model_version(NAME, str(decision.version)).run_id
    if run_id and _is_active(connection, run_id):
        when = decision.at.replace(":", "")
        client.log_text(run_id, text + "\n", f"decisions/version-{decision.version}-{when}.json")


def _is_active(connection: Connection, run_id: str) -> bool:
    """Whether a run can still be written; somebody may have deleted it, and the versions hold the decision anyway."""
    from mlflow.exceptions import MlflowException

    try:
        return str(connection.client.get_run(run_id).info.lifecycle_stage) == "active"
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return False

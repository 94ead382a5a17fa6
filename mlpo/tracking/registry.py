"""Registered leaders: versions, their aliases challenger, champion and previous, and the decisions about them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlpo.config import ConfigError, EvaluateConfig, RegisterConfig
from mlpo.tracking.candidate import read_evaluation
from mlpo.tracking.connect import Connection, connect, exclusive
from mlpo.tracking.gate import Verdict, judge

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

NAME = "leader"
"""The registered model."""
CHALLENGER, CHAMPION, PREVIOUS = "challenger", "champion", "previous"
DECISION = "decision"
"""Tag of a version: the last decision about it, as JSON."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about one version, and why."""

    version: int
    promoted: bool
    reason: str
    champion: int | None = None
    """The version it was compared with."""
    improvement: float | None = None
    """Paired difference of accuracy over the champion."""
    interval: tuple[float, float] | None = None
    forced: bool = False


@dataclass(frozen=True, slots=True)
class LeaderVersion:
    """One registered leader, as a list shows it."""

    version: int
    aliases: tuple[str, ...]
    evaluation: Shown | None
    """None of a version that was not made by stage `register`."""
    base_model: str
    weights: str
    registered: datetime
    decision: Decision | None


@dataclass(frozen=True, slots=True)
class Shown:
    """The evaluation a version was registered with, as a list shows it."""

    accuracy: float
    interval: tuple[float, float]
    num_problems: int
    problems: str
    """Digest of the evaluation set."""
    invalid_rate: float


def leaders() -> list[LeaderVersion]:
    """Every registered leader, newest first."""
    connection = connect()
    by_version: dict[int, list[str]] = {}
    for alias, version in _aliases(connection).items():
        by_version.setdefault(version, []).append(alias)
    return [
        LeaderVersion(
            int(found.version),
            tuple(sorted(by_version.get(int(found.version), ()))),
            _shown(found.tags),
            found.tags.get("leader.base_model", ""),
            found.tags.get("leader.weights", ""),
            datetime.fromtimestamp(found.creation_timestamp / 1000, UTC),
            _decision(found),
        )
        for found in sorted(versions(connection), key=lambda found: -int(found.version))
    ]


def champion_folder() -> Path:
    """Where the champion's weights lie on this machine; a remote store's are downloaded.

    Raises:
        ConfigError: there is no champion.
    """
    connection = connect()
    version = _aliases(connection).get(CHAMPION)
    if version is None:
        raise ConfigError("no leader is champion yet; run the pipeline, or promote a version")
    return version_folder(connection, version)


def promote(
    version: int,
    *,
    gate: RegisterConfig | None = None,
    evaluate: EvaluateConfig | None = None,
    seed: int = 0,
    force: bool = False,
    reason: str | None = None,
) -> Decision:
    """Make `version` the champion if it clears the gate, or with `force` and a reason in any case.

    The champion until now becomes `previous`. The decision, also a refusal, is recorded on the version.

    Raises:
        ConfigError: no such version, or force without a reason.
    """
    if force and not (reason and reason.strip()):
        raise ConfigError("a forced promotion needs a reason; it is recorded with the version")
    connection = connect()
    with exclusive():
        get_version(connection, version)
        verdict, champion = _verdict(connection, version, gate or RegisterConfig(), evaluate or EvaluateConfig(), seed)
        why = f"forced: {reason} (the gate: {verdict.reason})" if force else verdict.reason
        decision = Decision(
            version,
            promoted=(force or verdict.clears) and champion != version,
            reason=why,
            champion=champion,
            improvement=verdict.improvement.difference if verdict.improvement else None,
            interval=_pair(verdict.improvement.interval) if verdict.improvement else None,
            forced=force,
        )
        if decision.promoted:
            _crown(connection, version, champion)
        if champion != version:
            _record(connection, decision)
    return decision


def rollback() -> Decision:
    """Make `previous` the champion again; the two swap, so that a second rollback undoes the first.

    Raises:
        ConfigError: there is no previous champion.
    """
    connection = connect()
    with exclusive():
        aliases = _aliases(connection)
        if PREVIOUS not in aliases:
            raise ConfigError("there is no previous champion to roll back to")
        version, champion = aliases[PREVIOUS], aliases.get(CHAMPION)
        decision = Decision(version, promoted=True, reason=f"rolled back from version {champion}", champion=champion)
        _crown(connection, version, champion)
        _record(connection, decision)
    return decision


def versions(connection: Connection, **tags: str) -> Sequence[ModelVersion]:
    """The registered versions with these tags."""
    conditions = [f"name = '{NAME}'", *(f"tags.`{tag}` = '{value}'" for tag, value in tags.items())]
    found: list[ModelVersion] = []
    token: str | None = None
    while token is None or token:
        page = connection.client.search_model_versions(" and ".join(conditions), page_token=token)
        found += page
        token = page.token or ""
    return found


def version_number(text: str) -> int:
    """A version as a person writes it.

    Raises:
        ConfigError: it is no whole number from 1 up.
    """
    if not re.fullmatch(r"[1-9]\d{0,8}", text):
        raise ConfigError(f"{text!r} is no leader version; name one by its number, `mlpo leaders` lists them")
    return int(text)


def get_version(connection: Connection, version: int) -> ModelVersion:
    """One registered version.

    Raises:
        ConfigError: there is no such version.
    """
    from mlflow.exceptions import MlflowException

    try:
        return connection.client.get_model_version(NAME, str(version))
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        known = ", ".join(str(found.version) for found in versions(connection)) or "none"
        raise ConfigError(f"there is no leader version {version}; known versions: {known}") from None


def version_folder(connection: Connection, version: int) -> Path:
    """A version's files on this machine."""
    from mlflow.artifacts import download_artifacts

    where = connection.client.get_model_version_download_uri(NAME, str(version))
    return Path(download_artifacts(artifact_uri=where, tracking_uri=connection.uri))


def _verdict(
    connection: Connection, version: int, gate: RegisterConfig, evaluate: EvaluateConfig, seed: int
) -> tuple[Verdict, int | None]:
    champion = _aliases(connection).get(CHAMPION)
    if champion == version:
        return Verdict(clears=True, reason="it is the champion already"), champion
    challenger = read_evaluation(version_folder(connection, version))
    if challenger is None:
        return Verdict(clears=False, reason="it carries no evaluation"), champion
    held = read_evaluation(version_folder(connection, champion)) if champion is not None else None
    if champion is not None and held is None:
        return Verdict(clears=False, reason=f"the champion, version {champion}, carries no evaluation"), champion
    return judge(challenger, held, gate, evaluate, seed=seed), champion


def _crown(connection: Connection, version: int, champion: int | None) -> None:
    """Move the aliases: first `previous`, so that a crash in between leaves a champion."""
    if champion is not None and champion != version:
        connection.client.set_registered_model_alias(NAME, PREVIOUS, str(champion))
    connection.client.set_registered_model_alias(NAME, CHAMPION, str(version))


def _record(connection: Connection, decision: Decision) -> None:
    connection.client.set_model_version_tag(NAME, str(decision.version), DECISION, json.dumps(asdict(decision)))


def _shown(tags: Mapping[str, str]) -> Shown | None:
    if "evaluation.accuracy" not in tags:
        return None
    accuracy, interval, n, invalid = (
        json.loads(tags[f"evaluation.{name}"]) for name in ("accuracy", "interval", "n", "invalid_rate")
    )
    return Shown(float(accuracy), _pair(interval), int(n), tags["leader.evaluation_problems"], float(invalid))


def _decision(version: ModelVersion) -> Decision | None:
    if DECISION not in version.tags:
        return None
    stored: dict[str, Any] = json.loads(version.tags[DECISION])
    stored["interval"] = _pair(stored["interval"]) if stored["interval"] else None
    return Decision(**stored)


def _aliases(connection: Connection) -> dict[str, int]:
    """Alias -> version; empty while nothing is registered."""
    found = connection.client.search_registered_models(f"name = '{NAME}'")
    return {alias: int(version) for alias, version in found[0].aliases.items()} if found else {}


def _pair(values: Sequence[float]) -> tuple[float, float]:
    low, high = values
    return float(low), float(high)

"""Registered leaders: versions, their aliases challenger, champion and previous, and where their files lie."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mlpo import layout
from mlpo.config import ConfigError, digest
from mlpo.tracking.connect import Connection, connect, main_checkout
from mlpo.tracking.decisions import NAME, Decision, decision_in

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

CHALLENGER, CHAMPION, PREVIOUS = "challenger", "champion", "previous"
LOGGED_MODEL = "models:/m-"
"""How the source of a version begins that `register` made; the SQLite store keeps no other word of the model's id."""


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
    for alias, version in aliases(connection).items():
        by_version.setdefault(version, []).append(alias)
    return [
        LeaderVersion(
            int(found.version),
            tuple(sorted(by_version.get(int(found.version), ()))),
            _shown(found.tags),
            found.tags.get("leader.base_model", ""),
            found.tags.get("leader.weights", ""),
            datetime.fromtimestamp(found.creation_timestamp / 1000, UTC),
            decision_in(found.tags),
        )
        for found in sorted(versions(connection), key=lambda found: -int(found.version))
    ]


def champion_folder() -> Path:
    """Where the champion's weights lie on this machine; a remote store's are downloaded.

    Raises:
        ConfigError: there is no champion.
    """
    connection = connect()
    version = champion_of(connection)
    if version is None:
        raise ConfigError("no leader is champion yet; run the pipeline, or promote a version")
    return version_folder(connection, version)


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


def version_of(connection: Connection, reference: str) -> int:
    """A version by its number or by an alias.

    Raises:
        ConfigError: there is no such version.
    """
    known = aliases(connection)
    if reference in known:
        return known[reference]
    if reference in (CHALLENGER, CHAMPION, PREVIOUS):
        raise ConfigError(f"no leader is {reference} yet; `mlpo leaders` lists them")
    return int(get_version(connection, version_number(reference)).version)


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


def model_id_of(connection: Connection, version: int) -> str | None:
    """The LoggedModel behind a version; None if it was registered by hand."""
    source = str(get_version(connection, version).source)
    return source.removeprefix("models:/") if source.startswith(LOGGED_MODEL) else None


def champion_of(connection: Connection) -> int | None:
    """The champion's version; None if there is none."""
    return aliases(connection).get(CHAMPION)


def artifact_uri_of(connection: Connection, version: int) -> str:
    """Where the store keeps a version's files."""
    return connection.client.get_model_version_download_uri(NAME, str(version))


def version_folder(connection: Connection, version: int) -> Path:
    """A version's files on this machine: where a local store keeps them, else downloaded, once for all worktrees."""
    from mlflow.artifacts import download_artifacts

    where = artifact_uri_of(connection, version)
    if urlsplit(where).scheme in ("", "file"):
        return Path(download_artifacts(artifact_uri=where, tracking_uri=connection.uri))
    folder = main_checkout() / layout.WORK / "versions" / (model_id_of(connection, version) or digest(where))
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=folder.parent) as scratch:
            found = download_artifacts(artifact_uri=where, dst_path=scratch, tracking_uri=connection.uri)
            try:
                Path(found).rename(folder)
            except OSError:
                if not folder.is_dir():  # else another process was faster
                    raise
    return folder


def aliases(connection: Connection) -> dict[str, int]:
    """Alias -> version; empty while nothing is registered."""
    found = connection.client.search_registered_models(f"name = '{NAME}'")
    return {alias: int(version) for alias, version in found[0].aliases.items()} if found else {}


def _shown(tags: Mapping[str, str]) -> Shown | None:
    if "evaluation.accuracy" not in tags:
        return None
    accuracy, interval, n, invalid = (
        json.loads(tags[f"evaluation.{name}"]) for name in ("accuracy", "interval", "n", "invalid_rate")
    )
    return Shown(float(accuracy), _pair(interval), int(n), tags["leader.evaluation_problems"], float(invalid))


def _pair(values: Sequence[float]) -> tuple[float, float]:
    low, high = values
    return float(low), float(high)

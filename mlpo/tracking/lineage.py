"""Where a registered leader came from: its runs, flow run, commit and the content it was made of, in one record."""

from __future__ import annotations

from dataclasses import dataclass

from mlpo.tracking.connect import connect
from mlpo.tracking.registry import get_version


@dataclass(frozen=True, slots=True)
class Lineage:
    """One version's origin."""

    version: int
    git_commit: str
    git_dirty: bool
    prefect_flow_run: str
    """Empty if it was not made by a flow."""
    runs: dict[str, str]
    """Stage (and `pipeline`) -> MLflow run id; empty where the output came from DVC's cache."""
    content: dict[str, str]
    """Path -> DVC hash."""


def lineage(version: int) -> Lineage:
    """The origin of one registered leader.

    Raises:
        ConfigError: there is no such version.
    """
    tags = get_version(connect(), version).tags
    return Lineage(
        version,
        tags["git.commit"],
        tags["git.dirty"] == "true",
        tags["prefect.flow_run_id"],
        _with_prefix(tags, "run."),
        _with_prefix(tags, "dvc."),
    )


def _with_prefix(tags: dict[str, str], prefix: str) -> dict[str, str]:
    return {name.removeprefix(prefix): value for name, value in sorted(tags.items()) if name.startswith(prefix)}

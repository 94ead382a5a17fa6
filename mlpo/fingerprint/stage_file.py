"""What a stage's result depends on beside its data: the content of data/code/<stage>.json."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlpo.config import AgentConfig, Params, effective
from mlpo.fingerprint.syntax import bytes_digest
from mlpo.stage_table import STAGES

Dependencies = Mapping[str, Any]
"""{"code": module -> digest, "parameters": dotted name -> value, "documents": file -> digest of an agent's own}"""


def parameters_of(stage: str, params: Params, agent: str = "") -> dict[str, Any]:
    """The parameters that a stage reads, with their defaults, without those that change no result."""
    whole = effective(params)
    return {name: _at(whole, name) for name in (read.format(agent=agent) for read in STAGES[stage].reads)}


def documents_of(agent: AgentConfig) -> dict[str, str]:
    """File -> digest of the documents that an agent can look up; empty for a benchmark's facts or none.

    What is missing or cannot be read is left to the stage that needs it.
    """
    if agent.reference is None or agent.reference.benchmark is not None:
        return {}
    source = Path(agent.reference.source)
    files = [source] if source.is_file() else sorted(path for path in source.rglob("*") if path.is_file())
    found = {}
    for file in files:
        try:
            found[file.as_posix()] = bytes_digest(file.read_bytes())
        except OSError as error:
            found[file.as_posix()] = type(error).__name__
    return found


def changes(before: Dependencies, after: Dependencies) -> list[str]:
    """The names of modules, parameters and documents in which two differ, in order."""
    names = []
    for part in ("code", "parameters", "documents"):
        old, new = before.get(part, {}), after.get(part, {})
        names += sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    return names


def _at(whole: Any, dotted: str) -> Any:
    for key in dotted.split("."):
        whole = whole[key]
    return whole

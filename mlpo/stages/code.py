"""Stage `code`: what each stage's result depends on beside its data (the package, params.yaml -> data/code).

A stage depends on its own file there, so DVC makes it again if what it reaches or reads has changed, and not if a
comment has. DVC runs this one every time, before any other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from mlpo.config import Params
from mlpo.files import write_json_atomic
from mlpo.fingerprint.reached_code import ImportGraph, code_of
from mlpo.fingerprint.stage_file import Dependencies, changes, documents_of, parameters_of
from mlpo.layout import CODE, WORK, code_file
from mlpo.stage_table import STAGES

SHOWN = 6
"""Names of what has changed, told for each stage."""


def run(params: Params) -> None:
    """Write a file for every stage, and for every agent where each has one; say what has changed since."""
    graph = ImportGraph(WORK / "code.json")
    wanted = dict(dependencies(params, graph))
    for path in {*CODE.rglob("*.json")} - wanted.keys():
        path.unlink()  # of an agent that has left the team
    for path, found in wanted.items():
        before = _before(path)
        write_json_atomic(path, found)
        if before is not None and (names := changes(before, found)):
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            print(f"{path.relative_to(CODE).with_suffix('')}: changed in {', '.join(names[:SHOWN])}{more}")
    graph.keep()


def dependencies(params: Params, graph: ImportGraph) -> Iterator[tuple[Path, Dependencies]]:
    """File -> what it holds."""
    for stage, info in STAGES.items():
        code = code_of(stage, graph)
        for agent in params.team if info.of_each_agent else ("",):
            found = {"code": code, "parameters": parameters_of(stage, params, agent)}
            if stage == "reference":
                found["documents"] = documents_of(params.team[agent])
            yield code_file(stage, agent), found


def _before(path: Path) -> Dependencies | None:
    try:
        found: Dependencies = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found

"""What a stage cost, in seconds: kept under .mlpo/timings, since clock readings are no part of a stage's outputs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlpo.files import write_json_atomic
from mlpo.inference.usage import GenerationLedger
from mlpo.layout import WORK

TIMINGS_FOLDER = WORK / "timings"


@dataclass
class StageClock:
    """The running costs of one stage."""

    ledger: GenerationLedger = field(default_factory=GenerationLedger)
    """What models were asked for."""
    training_seconds: float = 0.0
    """Model seconds beyond the ledger's."""


@contextmanager
def stage_clock(stage: str) -> Iterator[StageClock]:
    """Measure the block and write its seconds to .mlpo/timings/<stage>.json, also if it is stopped.

    A run that goes on after a stop adds to the stopped run's seconds; one after a finished run starts from nothing, but
    for models that it asks nothing: all that they said was kept, and what it cost was measured then.
    """
    path = TIMINGS_FOLDER / f"{stage}.json"
    before = read_timing(path)
    models = before.get("models", {})
    if before.get("finished", True):
        before = {}
    clock, started, finished = StageClock(), time.perf_counter(), False
    try:
        yield clock
        finished = True
    finally:
        timing = {
            "finished": finished,
            "wall_seconds": round(before.get("wall_seconds", 0.0) + time.perf_counter() - started, 6),
            "model_seconds": round(
                before.get("model_seconds", 0.0) + clock.ledger.model_seconds + clock.training_seconds, 6
            ),
            "models": models | {name: _added(before, name, row) for name, row in clock.ledger.as_rows().items()},
        }
        write_json_atomic(path, timing)


def _added(before: Mapping[str, Any], model: str, row: Mapping[str, float]) -> dict[str, float]:
    stopped = before.get("models", {}).get(model, {})
    return {name: value + stopped.get(name, 0) for name, value in row.items()}


def read_timing(path: Path) -> Mapping[str, Any]:
    """One stage's timing; empty if it never ran."""
    if not path.exists():
        return {}
    timing: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return timing


def all_timings() -> dict[str, Mapping[str, Any]]:
    """Every stage's timing, by stage."""
    return {path.stem: read_timing(path) for path in sorted(TIMINGS_FOLDER.glob("*.json"))}

"""Where a team's models come from: this process, and the problems for an agent that argues against them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from mlpo.config import HOSTILE, Params
from mlpo.inference.hostile_backend import HostileModels
from mlpo.inference.local import LocalModels
from mlpo.inference.model_pool import Models
from mlpo.layout import CALIBRATION_PROBLEMS, TEST_PROBLEMS, TRAIN_PROBLEMS
from mlpo.store import read_jsonl
from mlpo.types import Problem


def team_models(params: Params) -> Models:
    """Models of this process, with the hostile agent if the team has one."""
    local = LocalModels(params.runtime)
    if all(agent.model != HOSTILE for agent in params.team.values()):
        return local
    return HostileModels(local, SPLITS, params.seed)


def _read(split: Path) -> dict[str, Problem]:
    return {problem.id: problem for problem in read_jsonl(split, Problem)}


SPLITS = tuple(partial(_read, split) for split in (TRAIN_PROBLEMS, CALIBRATION_PROBLEMS, TEST_PROBLEMS))
"""Where a hostile agent looks problems up, in this order."""

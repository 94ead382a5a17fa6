"""The files that describe a leader, beside its weights."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from mlpo.tracking.candidate import Candidate
from mlpo.tracking.card import model_card
from mlpo.tracking.evaluations import write_evaluation

PARAMS_FILE, TEAM_FILE = "params.json", "team.json"
"""All parameters, and the team's prompts with their worked examples: with them the leader can be played anywhere."""


def write_description(candidate: Candidate, folder: Path) -> None:
    """Write the model card, the per-problem scores, all metrics, parameters and the team."""
    (folder / "README.md").write_text(model_card(candidate), encoding="utf-8")
    write_evaluation(folder, candidate.evaluation)
    _write_json(folder / "metrics.json", candidate.metrics)
    _write_json(folder / PARAMS_FILE, candidate.params.model_dump(mode="json", by_alias=True))
    _write_json(folder / TEAM_FILE, [asdict(agent) for agent in candidate.team])


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")

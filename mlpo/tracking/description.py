"""The files that describe a leader, beside its weights."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mlpo.method.prompts import AgentPrompt
from mlpo.tracking.candidate import Candidate
from mlpo.tracking.card import model_card
from mlpo.tracking.evaluations import write_evaluation

METRICS_FILE, PARAMS_FILE, TEAM_FILE = "metrics.json", "params.json", "team.json"
"""Metrics; all parameters, and the team's prompts with their worked examples: with them the leader plays anywhere."""
POLICY_FILE = "consult.json"
"""When the leader is unsure, where it asks its team by that."""
REFERENCES_FOLDER = "references"
"""The passages that its agents look questions up in, a file an agent."""


def write_description(candidate: Candidate, folder: Path) -> None:
    """Write the model card, the per-problem scores, all metrics, parameters, the team and when it is asked."""
    (folder / "README.md").write_text(model_card(candidate), encoding="utf-8")
    write_evaluation(folder, candidate.evaluation)
    _write_json(folder / METRICS_FILE, candidate.metrics)
    _write_json(folder / PARAMS_FILE, candidate.params.model_dump(mode="json", by_alias=True))
    _write_json(folder / TEAM_FILE, [_prompt(agent) for agent in candidate.team])
    if candidate.policy is not None:
        shutil.copyfile(candidate.policy, folder / POLICY_FILE)
    for name, passages in candidate.references.items():
        target = reference_in(folder, name)
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(passages, target)


def reference_in(folder: Path, agent: str) -> Path:
    """Where a version's folder holds the passages of one agent's documents."""
    return folder / REFERENCES_FOLDER / f"{agent}.jsonl"


def _prompt(agent: AgentPrompt) -> dict[str, Any]:
    """An agent's prompt as JSON holds it; its passages lie in a file beside."""
    return {"name": agent.name, "system": agent.system, "shots": [asdict(shot) for shot in agent.shots]}


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")

"""A leader about to be registered: what identifies it, and the files that describe it beside its weights."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mlpo.config import Params, digest
from mlpo.method.prompts import AgentPrompt
from mlpo.tracking.evaluations import write_evaluation
from mlpo.tracking.gate import Evaluation
from mlpo.types import Message

PARAMS_FILE, TEAM_FILE = "params.json", "team.json"
"""All parameters, and the team's prompts with their worked examples: with them the leader can be played anywhere."""
LICENCES = {"embedded": "apache-2.0"}
"""By base model; another model's licence is what its own card says."""

_CARD = """\
---
license: {licence}
base_model: {base_model}
library_name: transformers
tags: [mlpo, multi-agent, leader]
---
# Leader of a team of {num_agents} agents

{base_model}, trained with Multi-agent guided Leader Policy Optimization (arXiv:2507.08960): a warm start on verified
corrections, then GRPO on prompts that hold the proposals of an untrained team. It was trained and evaluated with this
team, {num_rounds} rounds a problem, groups of {group_size}; with another team its numbers will differ.

{team}

## Evaluation

{num_problems} problems of `{benchmark}`, seed {seed}, evaluation set `{problems}`.

{table}

## Use

    from transformers import AutoModelForCausalLM, AutoTokenizer
    tokenizer, model = (kind.from_pretrained(FOLDER) for kind in (AutoTokenizer, AutoModelForCausalLM))

It expects the messages of `input_example.json` and answers `<think>...</think><answer>...</answer>`.

## Limits

Its agents' texts are part of its prompt and untrusted; it was trained on short factual questions only.
Weights sha256 `{weights}`.
"""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A trained leader, as evaluated."""

    folder: Path
    """Weights and tokenizer, in transformers' format."""
    weights: str
    """sha256 of the weights."""
    base_model: str
    """What it was trained from: identity of model and revision."""
    prompts: str
    """Digest of the prompts it is shown."""
    params: Params
    evaluation: Evaluation
    metrics: Mapping[str, Any]
    """All of metrics.json."""
    table: str
    """The evaluation as a Markdown table."""
    team: Sequence[AgentPrompt]
    """What its agents are shown."""
    example: Sequence[Message]
    """One prompt as it was evaluated."""

    @property
    def identity(self) -> dict[str, str]:
        """What makes two registrations the same: no clock, no path, no id of a run."""
        return {
            "weights": self.weights,
            "base_model": self.base_model,
            "team": digest({name: agent.model_dump(mode="json") for name, agent in self.params.team.items()}),
            "prompts": self.prompts,
            "evaluation": digest(asdict(self.evaluation)),
            "evaluation_problems": self.evaluation.problems,
        }

    def tags(self) -> dict[str, str]:
        """The version's tags that follow from the candidate itself."""
        params, leader = self.params, self.metrics["strategies"]["leader"]
        return {f"leader.{name}": value for name, value in self.identity.items()} | {
            "leader": digest(self.identity),
            "base_revision": params.leader.revision or "",
            "licence": _licence(params),
            "seed": str(params.seed),
            "K": str(len(params.team)),
            "T": str(params.rounds.num_rounds),
            "G": str(params.train_mlpo.group_size),
            "team": json.dumps({n: a.model_dump(mode="json", exclude={"shots"}) for n, a in params.team.items()}),
            **{f"evaluation.{key}": json.dumps(leader[key]) for key in _SHOWN},
        }

    def write_description(self, folder: Path) -> None:
        """Write the model card, the per-problem scores, all metrics and parameters, the team and an input example."""
        (folder / "README.md").write_text(self._card(), encoding="utf-8")
        write_evaluation(folder, self.evaluation)
        _write_json(folder / "metrics.json", self.metrics)
        _write_json(folder / PARAMS_FILE, self.params.model_dump(mode="json", by_alias=True))
        _write_json(folder / TEAM_FILE, [asdict(agent) for agent in self.team])
        _write_json(folder / "input_example.json", {"messages": [asdict(message) for message in self.example]})

    def _card(self) -> str:
        params = self.params
        return _CARD.format(
            licence=_licence(params),
            base_model=self.base_model,
            num_agents=len(params.team),
            num_rounds=params.rounds.num_rounds,
            group_size=params.train_mlpo.group_size,
            team="\n".join(f"- `{name}`: {agent.model}" for name, agent in params.team.items()),
            num_problems=len(self.evaluation.scores),
            benchmark=params.prepare.benchmark,
            seed=params.seed,
            problems=self.evaluation.problems,
            table=self.table,
            weights=self.weights,
        )


_SHOWN = ("accuracy", "interval", "n", "invalid_rate", "generations", "prompt_tokens", "completion_tokens")


def _licence(params: Params) -> str:
    return LICENCES.get(params.leader.model, "other")


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")

"""A leader about to be registered: what it is made of, and what identifies it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from mlpo.config import Params, digest
from mlpo.method.prompts import AgentPrompt
from mlpo.tracking.gate import Evaluation
from mlpo.tracking.origin import licence_of
from mlpo.types import LEADER, Message


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
    """One prompt as it was evaluated, with the team's proposals."""
    solo_example: Sequence[Message]
    """The same problem as the leader is asked it alone."""
    data: Mapping[str, Any]
    """What `prepare` found out about the problems: statistics.json."""
    references: Mapping[str, Path] = field(default_factory=dict)
    """Agent -> the file of passages that it looks questions up in; agents without documents are left out."""
    policy: Path | None = None
    """When the leader is unsure; None where it does not ask by that."""
    strategy: str = LEADER
    """The strategy that `evaluation` is of: how the leader is played where it is served."""

    @property
    def identity(self) -> dict[str, str]:
        """What makes two registrations the same: no clock, no path, no id of a run."""
        identity = {
            "weights": self.weights,
            "base_model": self.base_model,
            "team": digest([self._agents, self._documents]),
            "prompts": self.prompts,
            "evaluation": digest(asdict(self.evaluation)),
            "evaluation_problems": self.evaluation.problems,
        }
        return identity | ({"consult": digest(json.loads(self.policy.read_text("utf-8")))} if self.policy else {})

    @property
    def _agents(self) -> dict[str, Any]:
        return {name: agent.model_dump(mode="json") for name, agent in self.params.team.items()}

    @property
    def _documents(self) -> dict[str, str]:
        """Agent -> sha256 of its passages: an agent that may look up other documents is another agent."""
        return {name: sha256(path.read_bytes()).hexdigest() for name, path in sorted(self.references.items())}

    def tags(self) -> dict[str, str]:
        """The version's tags that follow from the candidate itself."""
        params, leader = self.params, self.metrics["strategies"][self.strategy]
        return {f"leader.{name}": value for name, value in self.identity.items()} | {
            "leader": digest(self.identity),
            "base_revision": params.leader.revision or "",
            "licence": licence_of(params.leader.model),
            "seed": str(params.seed),
            "K": str(len(params.team)),
            "T": str(params.rounds.num_rounds),
            "G": str(params.train_mlpo.group_size),
            "team": json.dumps({n: a.model_dump(mode="json", exclude={"shots"}) for n, a in params.team.items()}),
            **{f"evaluation.{key}": json.dumps(leader[key]) for key in _SHOWN},
        }


_SHOWN = ("accuracy", "interval", "n", "invalid_rate", "generations", "prompt_tokens", "completion_tokens")

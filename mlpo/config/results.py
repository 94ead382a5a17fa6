"""Parameters of what follows training: evaluate, register, and serving the champion."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from mlpo.config.section import Section
from mlpo.suggestion import suggestion

RIVALS = (
    "debate",
    "mixture_of_agents",
    "corex_discuss",
    "corex_review",
    "corex_retrieve",
    "lessons",
    "deferral",
    "majority_vote_equal_generations",
    "majority_vote_equal_tokens",
    "self_consistency_equal_generations",
    "self_consistency_equal_tokens",
)
"""Strategies that are played beside the leader where `evaluate.rivals` asks for them (docs/strategies.md)."""
NEED_COLLEAGUES = frozenset({"debate", "corex_discuss", "corex_review"})
"""Rivals that make no sense with a team of one."""


class EvaluateConfig(Section):
    """Stage `evaluate`: every strategy on the test problems."""

    max_dead_agents: int = Field(0, ge=0)
    """Agents that may stay dead while evaluation goes on without their answers; one more ends it with exit code 75."""
    leaders: tuple[Literal["untrained", "sft", "mlpo"], ...] = ("untrained", "sft", "mlpo")
    """Leaders that play, mlpo among them; a leader takes a third of evaluation's time."""
    self_consistency_samples: int = Field(0, ge=0)
    """Samples of the untrained leader for self-consistency; 0 leaves the strategy out."""
    rivals: tuple[str, ...] = ()
    """More strategies to compare with: names from docs/strategies.md, such as debate; each costs its generations."""
    rival_rounds: int = Field(2, ge=1, le=20)
    """Rounds of debate, corex_discuss and lessons, and layers of mixture_of_agents."""
    rival_lessons: int = Field(3, ge=1)
    """Lessons the bank of the rival `lessons` holds."""
    num_traces: int = Field(8, ge=0)
    """Test transcripts logged as MLflow traces."""
    bootstrap_samples: int = Field(10000, ge=100)
    """Resamples of the paired bootstrap."""
    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Level of every interval."""

    @field_validator("leaders")
    @classmethod
    def _the_trained_leader_plays(cls, leaders: tuple[str, ...]) -> tuple[str, ...]:
        if "mlpo" not in leaders or len(set(leaders)) < len(leaders):
            raise ValueError("name mlpo, which everything is compared with, and each leader once")
        return leaders

    @field_validator("rivals")
    @classmethod
    def _rivals_are_known(cls, rivals: tuple[str, ...]) -> tuple[str, ...]:
        for name in rivals:
            if name not in RIVALS:
                raise ValueError(f"{name} is unknown; {suggestion(name, RIVALS)}")
        if len(set(rivals)) < len(rivals):
            raise ValueError("a rival is named twice; name each once")
        return rivals


class RegisterConfig(Section):
    """Stage `register`: a version of the registered model `leader`, and the gate to `champion`."""

    min_improvement: float = 0.0
    """The paired improvement's lower bound over the champion must exceed this."""
    max_invalid_increase: float = Field(0.02, ge=0)
    """How much higher the invalid rate may be than the champion's."""
    max_token_factor: float = Field(1.25, gt=0)
    """Tokens a problem, of team and leader together, may be at most this many times the champion's."""


class ServeConfig(Section):
    """`mlpo serve`: the champion and its team behind one OpenAI-compatible URL."""

    host: str = "127.0.0.1"
    """Address to listen at; 0.0.0.0 is every one of this machine's, and wants an `api_key_env`."""
    port: int = Field(8000, ge=0, le=65535)
    """Port to listen at; 0 takes a free one."""
    api_key_env: str | None = Field(None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """NAME of the environment variable with the key that clients must send; null asks for none."""
    max_running: int = Field(32, ge=1, le=4096)
    """Questions that advance together, in one batch a model."""
    max_waiting: int = Field(256, ge=1)
    """Questions that may wait for a place; one more is answered 429."""
    max_seconds: float = Field(120.0, gt=0)
    """Longest time for an answer, its wait included; then the question is given up and answered 504."""
    max_rounds: int = Field(5, ge=1, le=20)
    """Most rounds that a question may ask for with `num_rounds`."""
    max_dead_agents: int = Field(1, ge=0)
    """Agents that may fail in a round while the leader answers without them; one more is answered 503."""
    agent_seconds: float = Field(20.0, gt=0)
    """Longest time for the answer of an agent behind a server; one silent for so long is left alone for 30 seconds."""
    poll_seconds: float = Field(10.0, gt=0)
    """Pause between two looks at the registry; a new champion is loaded beside the old one and then takes over."""
    trace_share: float = Field(1.0, ge=0, le=1)
    """Share of the questions that MLflow gets a trace of."""

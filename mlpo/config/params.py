"""All of params.yaml: read, checked as a whole, and explained where it is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from mlpo.config.consult import ConsultConfig
from mlpo.config.models import AgentConfig, AgentName, LeaderConfig
from mlpo.config.results import NEED_COLLEAGUES, EvaluateConfig, RegisterConfig, ServeConfig
from mlpo.config.rows import ALL_FAMILIES, DemonstrateConfig, PrepareConfig, ProposeConfig
from mlpo.config.runtime import RuntimeConfig
from mlpo.config.section import ConfigError, Section
from mlpo.config.training import TrainMlpoConfig, TrainSftConfig
from mlpo.suggestion import suggestion


class RoundsConfig(Section):
    """How leader and team talk: used in evaluation and, where `rounds_in_training` asks for it, in training."""

    num_rounds: int = Field(2, ge=1, le=20)
    """T. The paper uses 5."""
    share: Literal["reasoning", "answer"] = "reasoning"
    """What travels between leader and agents: whole texts, or parsed answers only."""
    early_stop: bool = False
    """Stop when two rounds in a row give the same leader answer and all agents agree."""
    agreement_samples: int = Field(1, ge=1, le=64)
    """Samples an agent draws a round; above 1 the leader is told how many agree: "2 of 3" (arXiv:2203.11171)."""
    tell_certainty: bool = False
    """The leader is told how sure each agent is, the surest first: "91 % sure" is exp(-mean entropy of its tokens) .91.
    A server has to tell log-probabilities; of an agent whose server tells none, nothing is said (arXiv:2309.13007)."""
    keep_asking: Literal["always", "while_unsure"] = Field("always", alias="continue")
    """while_unsure: another round only where the leader's draft is too unsure; the surest of its answers is given."""
    max_draft_tokens: int = Field(48, ge=1)
    """Longest leader completion, tokens."""


class Params(Section):
    """All of params.yaml."""

    seed: int = Field(0, ge=0, lt=2**31)
    """Every random choice follows from it."""
    team: dict[AgentName, AgentConfig] = Field(min_length=1)
    """The agents: name -> agent, in the order of the names whatever theirs in the file is."""
    leader: LeaderConfig = LeaderConfig()
    rounds: RoundsConfig = RoundsConfig()
    consult: ConsultConfig = ConsultConfig()
    runtime: RuntimeConfig = RuntimeConfig()
    prepare: PrepareConfig
    propose: ProposeConfig = ProposeConfig()
    demonstrate: DemonstrateConfig = DemonstrateConfig()
    train_sft: TrainSftConfig = TrainSftConfig()
    train_mlpo: TrainMlpoConfig = TrainMlpoConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    register_: RegisterConfig = Field(RegisterConfig(), alias="register")
    serve: ServeConfig = ServeConfig()

    @field_validator("team")
    @classmethod
    def _by_name(cls, team: dict[str, AgentConfig]) -> dict[str, AgentConfig]:
        """DVC compares mappings without their order, so order must change nothing."""
        return dict(sorted(team.items()))

    @property
    def is_selective(self) -> bool:
        """Whether the leader asks by how sure it is, which takes a policy that stage `calibrate` measures."""
        if self.consult.when == "always":
            return self.rounds.keep_asking == "while_unsure"
        return self.consult.when == "unsure"

    @model_validator(mode="after")
    def _sections_fit_together(self) -> Params:
        if "leader" in self.team:
            raise ValueError("an agent may not be called 'leader'; rename it")
        unknown = {f for a in self.team.values() for f, count in a.shots.items() if count} - set(self.prepare.families)
        if unknown and self.prepare.families != (ALL_FAMILIES,):
            raise ValueError(f"shots name families that prepare.families does not hold: {', '.join(sorted(unknown))}")
        alone = sorted(NEED_COLLEAGUES & set(self.evaluate.rivals)) if len(self.team) == 1 else []
        if alone:
            raise ValueError(f"evaluate.rivals: {', '.join(alone)} need a team of at least 2 agents; leave them out")
        if self.train_mlpo.failure_weight and not self.demonstrate.leader_samples:
            raise ValueError("train_mlpo.failure_weight needs demonstrate.leader_samples of at least 1")
        if self.rounds.agreement_samples not in (1, self.propose.samples):
            raise ValueError(
                f"rounds.agreement_samples must be 1 or propose.samples ({self.propose.samples}), which training shows"
            )
        if self.consult.one_by_one and not self.is_selective:
            raise ValueError(
                "consult.one_by_one needs a leader that stops where it is sure: set consult.when to unsure, or "
                "rounds.continue to while_unsure"
            )
        if self.consult.one_by_one and (self.consult.samples or not self.rounds.tell_certainty):
            raise ValueError(
                "consult.one_by_one goes by how sure each agent is: set rounds.tell_certainty to true and "
                "consult.samples to 0"
            )
        if self.consult.one_by_one and self.rounds.num_rounds > 1 and self.rounds.keep_asking == "always":
            raise ValueError(
                "consult.one_by_one ends where the leader is sure, and rounds.continue: always goes on; "
                "set it to while_unsure, or rounds.num_rounds to 1"
            )
        if self.rounds.agreement_samples > 1 and self.is_selective:
            raise ValueError(
                "rounds.agreement_samples: a leader that asks by how sure it is was not made to be told of agreement; "
                "leave it at 1, or set consult.when and rounds.continue to always"
            )
        return self


def load_params(path: Path) -> Params:
    """Read and check a parameters file.

    Raises:
        ConfigError: the file is missing or not readable, is not YAML, or holds an unknown or illegal value.
    """
    return parse_params(raw_params(path), source=str(path))


def raw_params(path: Path) -> dict[str, Any]:
    """A parameters file as it is written, sections and values unchecked.

    Raises:
        ConfigError: the file is missing, not readable or no YAML mapping.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; run from the repository's root") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; name a YAML file") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start}); name a YAML file") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: expected a mapping of sections, got {type(raw).__name__}")
    return raw


def parse_params(raw: dict[str, Any], *, source: str = "params.yaml") -> Params:
    """Check a mapping of parameters; `source` names it in errors."""
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        raise ConfigError("; ".join(_explain(source, raw, dict(e)) for e in error.errors())) from None


def _explain(source: str, raw: dict[str, Any], error: dict[str, Any]) -> str:
    where = [str(part) for part in error["loc"]]
    dotted = ".".join(where)
    if error["type"] == "extra_forbidden":
        known = _known_keys(where[:-1])
        return f"{source}: {dotted} is unknown; {suggestion(where[-1], known, otherwise='known keys:')}"
    if error["type"] == "missing":
        return f"{source}: {dotted} is missing; add it"
    message = error["msg"].removeprefix("Value error, ")
    given = error["input"]
    is_secret = "server" in where and not isinstance(given, int | float)  # a key may stand there by mistake
    got = "" if isinstance(given, dict) or is_secret else f" (got {given!r})"
    return f"{source}: {dotted + ': ' if dotted else ''}{message}{got}"


def _known_keys(where: list[str]) -> list[str]:
    """The legal keys of the section at `where`."""
    section: type[BaseModel] = Params
    for part in where:
        if section is Params and part == "team":
            section = AgentConfig
            continue
        for name, info in section.model_fields.items():
            for kind in (info.annotation, *getattr(info.annotation, "__args__", ())):
                if part in (name, info.alias) and isinstance(kind, type) and issubclass(kind, BaseModel):
                    section = kind
    return [info.alias or name for name, info in section.model_fields.items()]

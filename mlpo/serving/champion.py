"""A registered leader ready to answer: its weights in memory, its own team's prompts, parameters and agents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from mlpo.config import AgentConfig, ConfigError, RuntimeConfig, ServeConfig
from mlpo.evaluation.contest import leader_sampling
from mlpo.evaluation.registered_leader import RegisteredLeader, read_registered
from mlpo.evaluation.strategies import consult_strategy
from mlpo.inference.backend import Backend, OnText
from mlpo.inference.circuit_breaker import CircuitBreaker
from mlpo.inference.model_pool import ModelPool, Models
from mlpo.inference.openai_client import ServerBackend
from mlpo.inference.remote_models import server_urls
from mlpo.inference.usage import GenerationLedger
from mlpo.method.strategies.baselines import solo_leader
from mlpo.serving.request import SOLO, Question
from mlpo.store import request_key
from mlpo.types import LEADER, Completion, Message, Request, Sampling, StrategyRun

ModelsFor = Callable[[OnText | None], Models]
"""Where models come from; they tell the given listener how completions grow."""


class ServedPool(ModelPool):
    """A pool of models for a server: what it answered is kept until `forget`, so that it does not grow for ever."""

    def __init__(self, models: Models, *, max_loaded: int) -> None:
        self._answered: dict[str, Completion] = {}
        super().__init__(models, self._answered, request_key, ledger=GenerationLedger(), max_loaded=max_loaded)

    def forget(self) -> None:
        """Ask anew from now on."""
        self._answered.clear()


@dataclass(slots=True)
class Champion:
    """One version of the leader."""

    version: int
    registered: RegisteredLeader
    model_pool: ServedPool
    """Of the leader alone."""
    model_id: str | None
    """Of its LoggedModel; None of a version that was registered by hand."""
    backends: dict[str, Backend] = field(default_factory=dict)

    @property
    def agents(self) -> tuple[str, ...]:
        """The team's names, in order."""
        return tuple(self.registered.params.team)

    @property
    def num_rounds(self) -> int:
        """T, where a question does not say."""
        return self.registered.params.rounds.num_rounds

    def rounds_of(self, question: Question) -> int:
        """Rounds a question may take."""
        return 1 if self._alone(question) else question.num_rounds or self.num_rounds

    def decides_late(self, question: Question) -> bool:
        """Whether it is known only at the end which draft is the answer: it asks by how sure it is."""
        return self.registered.params.is_selective and not self._alone(question)

    def alone_first(self, question: Question) -> bool:
        """Whether the leader answers alone before it asks its team, if it does."""
        return self.registered.params.consult.when == "unsure" and not self._alone(question)

    def _alone(self, question: Question) -> bool:
        return question.model == SOLO or self.registered.params.consult.when == "never"

    def run(self, question: Question) -> StrategyRun:
        """How the question is answered."""
        params = self.registered.params
        sampling = _sampling(leader_sampling(params), question)
        seed = params.seed if question.seed is None else question.seed
        if question.model == SOLO:
            return solo_leader(question.problem, leader_sampling=sampling, seed=seed)
        changed = {"leader_sampling": sampling, "num_rounds": self.rounds_of(question), "seed": seed}
        play = consult_strategy(params, self.registered.team, self.registered.policy, name=LEADER, **changed)
        return play(question.problem)

    def close(self) -> None:
        """Let go of the weights."""
        self.model_pool.close()


def open_champion(version: int, folder: Path, model_id: str | None, runtime: RuntimeConfig, models: Models) -> Champion:
    """Read a version's folder and load its leader.

    Raises:
        ConfigError: it was not written by stage `register`, or its team needs what a server can't give.
    """
    registered = read_registered(folder, runtime)
    for name, agent in registered.params.team.items():
        if agent.server is not None and agent.server.serve is not None:
            raise ConfigError(
                f"leader version {version}: each stage starts its agent {name} (serve: {agent.server.serve}), too slow "
                "between questions; start its server, register a leader with its urls_env, and serve again"
            )
    model_pool = ServedPool(models, max_loaded=1)
    champion = Champion(version, registered, model_pool, model_id)
    champion.backends[LEADER] = model_pool.backend(str(folder))
    _load(champion.backends[LEADER], LEADER)
    return champion


def seat_team(champion: Champion, model_pool: ServedPool, config: ServeConfig) -> None:
    """Give the leader its agents, from a pool of models that all versions share; those of this process are loaded.

    Raises:
        ConfigError: there is no such model, or the variable of its URLs or key is not set.
    """
    for name, agent in champion.registered.params.team.items():
        champion.backends[name] = _agent_backend(agent, model_pool, config)
        _load(champion.backends[name], name)


def _agent_backend(agent: AgentConfig, model_pool: ServedPool, config: ServeConfig) -> Backend:
    if agent.server is None:
        return model_pool.backend(agent.model, agent.revision, None, agent.quantize)
    seconds = config.agent_seconds
    server = agent.server.model_copy(
        update={
            "total_seconds": min(agent.server.total_seconds, seconds),
            "timeout_seconds": min(agent.server.timeout_seconds, seconds),
        }
    )
    return CircuitBreaker(ServerBackend(agent.model, server_urls(server), server))


def _load(backend: Backend, name: str) -> None:
    backend.check([Request("probe", name, (Message("user", "?"),), Sampling(max_tokens=1), 0)])


def _sampling(evaluated: Sampling, question: Question) -> Sampling:
    """As the leader was evaluated, but for what the question sets."""
    wanted = question.max_tokens or evaluated.max_tokens
    temperature = evaluated.temperature if question.temperature is None else question.temperature
    return replace(
        evaluated,
        temperature=temperature,
        top_p=evaluated.top_p if question.top_p is None else question.top_p,
        max_tokens=min(wanted, evaluated.max_tokens),
        entropy=evaluated.entropy and temperature == evaluated.temperature,  # a policy was measured at that one
    )

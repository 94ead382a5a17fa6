"""The team of params.yaml in the method's words: prompts with worked examples and references."""

from __future__ import annotations

from functools import lru_cache
from itertools import zip_longest
from pathlib import Path

from mlpo.config import AgentConfig, ConfigError, Params
from mlpo.layout import SHOT_PROBLEMS, passages_of
from mlpo.method.prompts import AgentPrompt, LookUp, no_passages
from mlpo.references.index import ReferenceIndex
from mlpo.store import read_jsonl
from mlpo.types import Passage, Problem


def check_agent(params: Params, agent: str) -> None:
    """Refuse an agent that the team does not have.

    Raises:
        ConfigError: it has another name.
    """
    if agent not in params.team:
        raise ConfigError(f"params.yaml: team.{agent} is unknown; the team is {', '.join(params.team)}")


def agent_prompt(name: str, agent: AgentConfig) -> AgentPrompt:
    """The agent's prompt: system message, reference, and problems of the shots split, one of each family in turn.

    Of a family, the problems that the agent's documents answer come first: an example whose passage does not hold its
    answer would show a model to pass over what it looked up.

    Raises:
        ConfigError: the split holds fewer problems of a family than the agent is to be shown, or its passages are not
            there.
    """
    look_up = look_up_of(name, agent)
    shown: list[list[Problem]] = []
    for family, count in agent.shots.items():
        found = [p for p in read_jsonl(SHOT_PROBLEMS, Problem) if p.family == family]
        if len(found) < count:
            raise ConfigError(
                f"params.yaml: team.{name}.shots.{family}: {count} worked examples wanted, but {SHOT_PROBLEMS} "
                f"holds {len(found)}; lower it or raise prepare.num_shots"
            )
        shown.append(sorted(found, key=lambda p: not _holds(look_up(p.question), p))[:count])
    shots = tuple(p for turn in zip_longest(*shown) for p in turn if p is not None)
    return AgentPrompt(name, agent.system, shots, look_up)


def look_up_of(name: str, agent: AgentConfig) -> LookUp:
    """How the agent looks questions up in what stage `reference` wrote.

    Raises:
        ConfigError: it has a reference, and its passages are not there.
    """
    if agent.reference is None:
        return no_passages
    if not passages_of(name).is_file():
        raise ConfigError(f"{passages_of(name)}: no such file; run `mlpo reference {name}`, or `dvc repro` for all")
    return index_of(passages_of(name), agent.reference.top_k).look_up


def index_of(path: Path, top_k: int) -> ReferenceIndex:
    """The index of a file of passages, built once a process as long as the file stays as it is."""
    state = path.stat()
    return _index(path.resolve(), state.st_mtime_ns, state.st_size, top_k)


@lru_cache(maxsize=64)
def _index(path: Path, changed: int, size: int, top_k: int) -> ReferenceIndex:
    return ReferenceIndex(list(read_jsonl(path, Passage)), top_k)


def _holds(passages: tuple[Passage, ...], problem: Problem) -> bool:
    """Does a passage hold the problem's target, word for word?"""
    words = [f" {' '.join(text.casefold().split())} ".replace(".", " ") for text in (p.text for p in passages)]
    return any(f" {problem.target.casefold()} " in text for text in words)


def team_prompts(params: Params) -> tuple[AgentPrompt, ...]:
    """Every agent's prompt, in the team's order."""
    return tuple(agent_prompt(name, agent) for name, agent in params.team.items())

"""`mlpo ask`: the champion and its team answer one question, round by round on the terminal (registry -> screen)."""

from __future__ import annotations

from contextlib import closing

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel

from mlpo.config import ConfigError, Params
from mlpo.evaluation.policy import read_policy
from mlpo.evaluation.question import problem_of
from mlpo.evaluation.registered_leader import RegisteredLeader, read_registered
from mlpo.inference.model_pool import ModelPool, Models
from mlpo.inference.usage import GenerationLedger
from mlpo.layout import MLPO_LEADER
from mlpo.method.answers import agent_answer, think_of
from mlpo.method.prompts import speaker
from mlpo.report.transcript import one_line
from mlpo.store import request_key
from mlpo.team.models import team_models
from mlpo.team.prompts import team_prompts
from mlpo.tracking.registry import champion_folder
from mlpo.types import LEADER, Completion, Problem, Round


def run(params: Params, question: str, *, models: Models | None = None, console: Console | None = None) -> None:
    """Print every agent's proposal, the leader's thinking and its answer, round by round.

    The leader is the champion, with the team and the rounds that it was registered with; without one, the leader that
    `train_mlpo` left in this checkout, with the checkout's.

    Raises:
        ConfigError: the question is empty, there is no leader, or the question does not fit a model's context.
    """
    problem = problem_of(question)
    leader, title = _leader(params)
    model_pool = ModelPool(
        models or team_models(leader.params),
        {},
        request_key,
        ledger=GenerationLedger(),
        max_loaded=params.runtime.max_loaded_models,
    )
    screen = console or Console()
    screen.print(f"[bold]{escape(problem.question)}[/]   [dim]{title}, {len(leader.team)} agents[/]")
    with closing(model_pool):
        (transcript,) = leader.play([problem], model_pool)
    asked = 0
    for exchange in transcript.rounds:
        title = f"round {asked}" if exchange.proposals else "alone"
        asked += bool(exchange.proposals)
        screen.print(Panel(_round(exchange, problem), title=title, title_align="left"))
    answer = "no answer could be read" if transcript.answer is None else transcript.answer
    screen.print(f"[bold]answer:[/] {escape(answer)}")


def _leader(params: Params) -> tuple[RegisteredLeader, str]:
    try:
        folder = champion_folder()
    except ConfigError:
        if not MLPO_LEADER.is_dir():
            raise ConfigError(f"there is no champion and no leader in {MLPO_LEADER}; run the pipeline first") from None
        here = RegisteredLeader(MLPO_LEADER, params, tuple(team_prompts(params)), read_policy(params))
        return here, f"no champion yet, so {MLPO_LEADER}"
    return read_registered(folder, params.runtime), "the champion"


def _round(exchange: Round, problem: Problem) -> str:
    lines = [
        line for c in exchange.proposals for line in (f"[cyan]{speaker(c)}[/]: {_said(c, problem)}", *_looked_up(c))
    ]
    if exchange.draft is not None:
        lines += [
            f"[magenta]{LEADER} thinks[/]: {escape(think_of(exchange.draft.text)) or '[dim]nothing[/]'}",
            f"[magenta]{LEADER} answers[/]: {escape(exchange.answer or '') or '[dim]nothing that can be read[/]'}",
        ]
    return "\n".join(lines)


def _looked_up(completion: Completion) -> list[str]:
    return [f"    [dim]looked up: {escape(one_line(passage.text))}[/]" for passage in completion.passages]


def _said(completion: Completion, problem: Problem) -> str:
    if completion.finish_reason == "error":
        return f"[red]failed: {escape(completion.error)}[/]"
    read = agent_answer(completion, problem)
    return escape(completion.text.strip()) + ("" if read is not None else " [dim](no answer)[/]")

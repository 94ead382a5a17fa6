"""What `mlpo inspect proposals` shows: an agent's question, what it had looked up for it, and what it proposed."""

from __future__ import annotations

from itertools import islice

from rich.console import Console
from rich.text import Text

from mlpo.config import ConfigError, Params
from mlpo.equivalence import is_equivalent
from mlpo.layout import CALIBRATION_PROBLEMS, TRAIN_PROBLEMS, proposals_of
from mlpo.method.answers import agent_answer, is_correct
from mlpo.method.prompts import speaker
from mlpo.report.transcript import one_line
from mlpo.store import read_jsonl
from mlpo.team.prompts import check_agent
from mlpo.types import Completion, Problem


def run(params: Params, agent: str, number: int, words: str = "") -> None:
    """Print the first `number` proposals of an agent on training and calibration problems.

    Args:
        words: only problems whose question holds them.
    Raises:
        ConfigError: no such agent, it has proposed nothing yet, or no question fits.
    """
    check_agent(params, agent)
    problems = {
        problem.id: problem
        for split in (TRAIN_PROBLEMS, CALIBRATION_PROBLEMS)
        for problem in read_jsonl(split, Problem)
        if words.casefold() in problem.question.casefold()
    }
    found = (c for c in read_jsonl(proposals_of(agent), Completion) if c.problem_id in problems)
    shown = list(islice(found, number))
    if not shown:
        raise ConfigError(f"{proposals_of(agent)}: no proposal to a question that holds {words!r}")
    console = Console()
    for completion in shown:
        _print(console, problems[completion.problem_id], completion)


def _print(console: Console, problem: Problem, completion: Completion) -> None:
    answer = agent_answer(completion, problem)
    right = is_correct(answer, problem, equivalent=is_equivalent)
    console.rule(f"{problem.family} · {problem.id} · sample {completion.sample}")
    console.print(Text(one_line(problem.question)))
    for passage in completion.passages:
        console.print(Text(f"  looked up: {one_line(passage.text)}  ({passage.source})", style="dim"))
    said = one_line(completion.text or completion.error) or "nothing"
    console.print(Text(f"  {speaker(completion)}: {said}"))
    verdict = (
        f"read as {answer or 'no answer'}, {'right' if right else f'wrong: {one_line(problem.target)} was wanted'}"
    )
    console.print(Text(f"  {verdict}", style="green" if right else "red"))

"""`mlpo team coverage` reads proposals to calibration problems alone, and says who is best with whom."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from mlpo.commands import team_coverage
from mlpo.config import ConfigError, Params
from mlpo.inference.scripted import ScriptedModels
from mlpo.layout import CALIBRATION_PROBLEMS, TEST_PROBLEMS
from mlpo.stages import propose
from mlpo.store import read_jsonl, write_jsonl_atomic
from mlpo.types import Problem, Request


def reply(request: Request) -> str:
    """The adder is right about even numbers, the guesser about none."""
    number = int(re.findall(r"(\d+) \+ 1\?", request.messages[-1].content)[-1])
    return str(number + 1 if request.model == "adder" and number % 2 == 0 else number + 50)


def shown(params: Params, best: int = 5) -> list[list[str]]:
    console = Console(file=io.StringIO(), width=100)
    team_coverage.run(params, best=best, console=console)
    assert isinstance(console.file, io.StringIO)
    lines = [
        re.fullmatch(r" *(\d) +(.+?) +(\d\.\d+ +\S+ \[.+\]) *", line) for line in console.file.getvalue().splitlines()
    ]
    return [[" ".join(cell.split()) for cell in line.groups()] for line in lines if line]


def test_every_subset_is_shown_with_what_it_lacks(house: Path, params: Params) -> None:
    for agent in params.team:
        propose.run(params, agent, models=ScriptedModels(reply))
    TEST_PROBLEMS.unlink()
    one, other, both = shown(params)
    # 30 and 31 are asked: the adder is right about one of them
    assert one == ["1", "adder", "0.500 +0.000 [+0.000, +0.000]"]
    assert other == ["1", "guesser", "0.000 -0.500 [-1.000, +0.000]"]
    assert both == ["2", "adder, guesser", one[2]]
    assert shown(params, best=1) == [one, both]


def test_too_few_calibration_problems_are_named(house: Path, params: Params) -> None:
    write_jsonl_atomic(CALIBRATION_PROBLEMS, list(read_jsonl(CALIBRATION_PROBLEMS, Problem))[:1])
    for agent in params.team:
        propose.run(params, agent, models=ScriptedModels(reply))
    with pytest.raises(ConfigError, match=r"on 1 problems of data/problems/calibration\.jsonl: .*at least 2"):
        team_coverage.run(params, best=5)

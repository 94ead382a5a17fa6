"""`mlpo team coverage`: how often some agent is right, of every subset of the team (calibration problems -> screen)."""

from __future__ import annotations

import sys
from itertools import groupby, islice

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mlpo.config import ConfigError, Params
from mlpo.equivalence import is_equivalent
from mlpo.layout import CALIBRATION_PROBLEMS
from mlpo.method.coverage import Coverage, coverage_of_subsets
from mlpo.team.proposals import read_proposal_sets

WIDTH_OF_A_LOG = 140
"""Columns where there is no terminal."""


def run(params: Params, *, best: int, console: Console | None = None) -> None:
    """Print the best subsets of each size; test problems are not looked at, for a team is chosen by this.

    Args:
        best: rows per size.
    Raises:
        ConfigError: proposals are missing, there are too few calibration problems, or too many agents.
    """
    sets = read_proposal_sets(tuple(params.team), split=CALIBRATION_PROBLEMS, equivalent=is_equivalent)
    try:
        found = coverage_of_subsets(sets, confidence=params.evaluate.confidence, seed=params.seed)
    except ValueError as error:
        raise ConfigError(f"mlpo team coverage, on {len(sets)} problems of {CALIBRATION_PROBLEMS}: {error}") from None
    title = f"P(some agent right) on {len(sets)} calibration problems"
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("agents", justify="right")
    table.add_column("team", overflow="fold")
    table.add_column("some right", justify="right", no_wrap=True)
    table.add_column("less than all", justify="right", no_wrap=True)
    for _, of_size in groupby(found, key=lambda each: len(each.agents)):
        for place, each in enumerate(islice(of_size, best)):
            table.add_row(*map(Text, _cells(each)), style="bold" if place == 0 else "")
    (console or Console(width=None if sys.stdout.isatty() else WIDTH_OF_A_LOG)).print(table)


def _cells(coverage: Coverage) -> tuple[str, str, str, str]:
    low, high = coverage.without_others.interval
    less = f"{coverage.without_others.difference:+.3f} [{low:+.3f}, {high:+.3f}]"
    return str(len(coverage.agents)), ", ".join(coverage.agents), f"{coverage.any_right:.3f}", less

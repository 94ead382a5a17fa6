"""What a person asks of the registry: which leaders there are, who leads, where one came from (registry -> screen)."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mlpo.config import Params
from mlpo.tracking import promotion, registry
from mlpo.tracking.lineage import lineage

WIDTH_OF_A_LOG = 140
"""Columns where there is no terminal."""
DIGEST_CHARACTERS = 8
"""Of an evaluation set's digest: enough to see which leaders can be compared."""


def show_leaders(console: Console | None = None) -> None:
    """Print every registered leader, newest first; equal evaluation sets can be compared."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for header in ("version", "accuracy and interval", "n"):
        table.add_column(header, justify="right", no_wrap=True)
    for header in ("evaluation\nset", "registered"):
        table.add_column(header, no_wrap=True)
    table.add_column("base model", overflow="fold")
    table.add_column("aliases")
    for leader in registry.leaders():
        shown, figures = leader.evaluation, ("not evaluated", "", "")
        if shown:
            low, high = shown.interval
            figures = (
                f"{shown.accuracy:.3f} [{low:.3f}, {high:.3f}]",
                str(shown.num_problems),
                shown.problems[:DIGEST_CHARACTERS],
            )
        when = f"{leader.registered:%Y-%m-%d %H:%M}"
        cells = (str(leader.version), *figures, when, leader.base_model, ", ".join(leader.aliases))
        table.add_row(*map(Text, cells), style="bold" if registry.CHAMPION in leader.aliases else "")
    (console or Console(width=None if sys.stdout.isatty() else WIDTH_OF_A_LOG)).print(table)


def show_lineage(reference: str) -> None:
    """Print where a leader came from, or the leaders that came out of a run, as JSON.

    Raises:
        ConfigError: there is no such version or run.
    """
    for found in lineage(reference):
        print(json.dumps(asdict(found), indent=2, ensure_ascii=False))


def promote(params: Params, version: str, *, force: bool = False, reason: str | None = None) -> None:
    """Make a version the champion if it clears the gate, and print the decision.

    Raises:
        ConfigError: no such version, or force without a reason.
    """
    decision = promotion.promote(
        registry.version_number(version),
        gate=params.register_,
        evaluate=params.evaluate,
        seed=params.seed,
        force=force,
        reason=reason,
    )
    print(f"version {decision.version} {'is champion' if decision.promoted else 'was not promoted'}: {decision.reason}")


def rollback(reason: str | None = None) -> None:
    """Make the previous champion the champion again, and print the decision.

    Raises:
        ConfigError: there is no previous champion.
    """
    decision = promotion.rollback(reason)
    print(f"version {decision.version} is champion: {decision.reason}")

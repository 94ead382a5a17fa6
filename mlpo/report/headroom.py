"""What the team can win, in the words of a reader: a row a leader, a row a family, a row a strategy by who holds it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mlpo.report.rows import in_reading_order, strategy_label

TOO_LITTLE = "too little to win"
"""Instead of a captured share where hardly anything can be won."""


class HeadroomRow(NamedTuple):
    """One leader, alone and with its team; shares of the same problems."""

    name: str
    label: str
    alone: float
    with_team: float
    ceiling: float
    winnable: str
    """H with its interval."""
    losable: str
    """L with its interval."""
    captured: str
    """Its share of H with its interval, or `TOO_LITTLE`."""
    won: int
    lost: int
    warning: str
    """Where the team cannot pay; else ""."""


class FamilyRow(NamedTuple):
    """One family: what each leader could win and lose on it, and did."""

    family: str
    n: int
    leaders: tuple[Mapping[str, Any], ...]
    """In the order of `headroom_rows`: winnable, losable, won, lost."""


class HolderTable(NamedTuple):
    """Accuracy by the number of agents that hold a problem's fact."""

    counts: tuple[str, ...]
    """"0" and up."""
    sizes: tuple[int, ...]
    """Problems of each count."""
    rows: tuple[tuple[str, str, tuple[float | None, ...]], ...]
    """Strategy, its label, its accuracy by count; None where no problem is."""


def headroom_rows(metrics: Mapping[str, Any]) -> list[HeadroomRow]:
    """A row a leader that was played alone too; none where metrics.json is an older one."""
    found = metrics.get("headroom", {})
    return [_row(name, found[name]) for name in in_reading_order(found)]


def headroom_families(metrics: Mapping[str, Any]) -> list[FamilyRow]:
    """A row a family, by name."""
    found = metrics.get("headroom", {})
    leaders = [found[name]["by_family"] for name in in_reading_order(found)]
    families = sorted(leaders[0]) if leaders else []
    return [FamilyRow(f, leaders[0][f]["n"], tuple(leader[f] for leader in leaders)) for f in families]


def holder_table(metrics: Mapping[str, Any]) -> HolderTable | None:
    """A row a strategy, in the order of every table; None where nobody knows who holds what."""
    found = {name: row for name, row in metrics.get("by_holders", {}).items() if row}
    if not found:
        return None
    any_row = next(iter(found.values()))
    counts = tuple(sorted(any_row, key=int))
    rows = tuple(
        (name, strategy_label(name), tuple(found[name][k]["accuracy"] if found[name][k]["n"] else None for k in counts))
        for name in in_reading_order(found)
    )
    return HolderTable(counts, tuple(any_row[k]["n"] for k in counts), rows)


def before_training_sentence(found: Mapping[str, Any]) -> str:
    """What stage `headroom` found out before the leader was trained with its team, in a sentence."""
    if not found:
        return "there were no calibration problems, so nobody knew before training whether this team can pay"
    won, lost = found["winnable"], found["losable"]
    return (
        f"alone the SFT leader has {found['alone']:.3f} of {found['n']} calibration problems; "
        f"asking its team can win {_with_interval(won, '.3f')} of them and lose {_with_interval(lost, '.3f')}"
    )


def _row(name: str, row: Mapping[str, Any]) -> HeadroomRow:
    captured = row["captured"]
    return HeadroomRow(
        name,
        strategy_label(name).removesuffix(" + team"),
        row["alone"],
        row["with_team"],
        row["ceiling"],
        _with_interval(row["winnable"], ".3f"),
        _with_interval(row["losable"], ".3f"),
        TOO_LITTLE if captured is None else _with_interval(captured, "+.2f"),
        row["won"],
        row["lost"],
        row["warning"],
    )


def _with_interval(value: Mapping[str, Any], form: str) -> str:
    low, high = value["interval"]
    return f"{value['share']:{form}} [{low:{form}}, {high:{form}}]"

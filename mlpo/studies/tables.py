"""A study's tables: on the terminal, as Markdown and CSV for the docs, and as JSON for programs."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.text import Text

from mlpo.evaluation.strategies import CONSULT
from mlpo.method.metrics.evaluation import Difference
from mlpo.method.metrics.significance import Verdict
from mlpo.report.rows import p_value, percent, rule, strategy_label
from mlpo.report.table import MARKS, WIDTH_OF_A_LOG, framed
from mlpo.types import LEADER

_SHORT = {
    LEADER: "leader + team",
    "leader_solo": "leader alone",
    "sft_leader": "its SFT leader + team",
    "sft_leader_solo": "its SFT leader alone",
}
"""Of a variant's own strategies: whether it was trained by MLPO is what the variant says."""


@dataclass(frozen=True, slots=True)
class VariantRow:
    """One variant over its finished seeds."""

    name: str
    about: str
    seeds: tuple[int, ...]
    accuracies: Mapping[str, Difference]
    """Strategy -> accuracy, as a difference from 0."""
    costs: Mapping[str, float]
    """generations, prompt_tokens, completion_tokens and invalid_rate of the leader with its team, per problem."""
    asking: Mapping[str, float]
    """The same of the leader that asks its team only when unsure, and share_asked; empty where it did not play."""
    by_round: tuple[float, ...]
    """The leader's accuracy after each round."""
    failed: str
    """Why a run of it did not come to its end; empty if all did."""


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One strategy of a variant against another, paired by problem and pooled over seeds."""

    first: tuple[str, str]
    """Variant and strategy."""
    second: tuple[str, str]
    seeds: tuple[int, ...]
    difference: Difference
    p: float
    holm_p: float
    """p, corrected for all comparisons of the study."""
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class StudyTables:
    """All that is told of a study."""

    name: str
    title: str
    question: str
    command: str
    commit: str
    device: str
    confidence: float
    minutes: float
    """What all finished runs took, each counted for itself."""
    variants: Sequence[VariantRow]
    comparisons: Sequence[ComparisonRow]

    @property
    def provenance(self) -> str:
        """Where the numbers come from."""
        return (
            f"`{self.command}` at commit {self.commit} on {self.device}; {self.minutes:.0f} minutes of runs. "
            f"Intervals: {percent(self.confidence)} by bootstrap over problems, seeds averaged inside a problem; "
            "p: sign flips of problems' differences, corrected by Holm."
        )


def print_study(tables: StudyTables, *, console: Console | None = None) -> None:
    """Both tables on the terminal."""
    console = console or Console(width=None if sys.stdout.isatty() else WIDTH_OF_A_LOG)
    variants = framed(tables.title, "variant")
    for header in list(_short_cells(tables.variants[0]))[1:]:
        variants.add_column(header, justify="right", no_wrap=True)
    for row in tables.variants:
        variants.add_row(*(Text(cell) for cell in _short_cells(row).values()), style="dim" if row.failed else "")
    console.print(variants)
    if tables.comparisons:
        differences = framed("accuracy of the first minus the second", "first")
        for header in list(_comparison_cells(tables.comparisons[0], tables.confidence))[1:]:
            words = header in ("second", "verdict")
            differences.add_column(header, justify="left" if words else "right", no_wrap=not words)
        for comparison in tables.comparisons:
            cells = _comparison_cells(comparison, tables.confidence)
            differences.add_row(*(Text(cell) for cell in cells.values()))
        console.print(differences, Text(rule(len(tables.comparisons), tables.confidence)))
    if asking := [_asking_cells(row) for row in tables.variants if row.asking]:
        asked = framed("the team is asked only when the leader is unsure", "variant")
        for header in list(asking[0])[1:]:
            asked.add_column(header, justify="right", no_wrap=header == "accuracy")
        for row_of_cells in asking:
            asked.add_row(*map(Text, row_of_cells.values()))
        console.print(asked)
    for row in tables.variants:
        if row.failed:
            console.print(Text(f"{row.name} failed: {row.failed}"), style="red")


def study_markdown(tables: StudyTables) -> str:
    """The study as a page: question, tables, where they come from."""
    parts = [
        f"# {tables.title}",
        tables.question,
        _markdown([_variant_cells(row) for row in tables.variants]),
    ]
    if tables.comparisons:
        parts.append(_markdown([_comparison_cells(row, tables.confidence) for row in tables.comparisons]))
        parts.append(rule(len(tables.comparisons), tables.confidence))
    if asking := [row for row in tables.variants if row.asking]:
        parts += [
            "Where the team is asked only when the leader is unsure:",
            _markdown(list(map(_asking_cells, asking))),
        ]
    if rounds := [row for row in tables.variants if len(row.by_round) > 1]:
        longest = max(len(row.by_round) for row in rounds)
        parts.append("Accuracy of the leader with its team after each round:")
        parts.append(
            _markdown(
                [
                    {"variant": f"`{row.name}`"}
                    | {f"{t + 1}": f"{row.by_round[t]:.3f}" if t < len(row.by_round) else "" for t in range(longest)}
                    for row in rounds
                ]
            )
        )
    parts += [f"{row.name} failed: {row.failed}" for row in tables.variants if row.failed]
    parts.append(f"Written by {tables.provenance}")
    return "\n\n".join(parts) + "\n"


def study_csv(tables: StudyTables) -> str:
    """The variants, numbers unrounded, one line each."""
    text = io.StringIO()
    rows = [_flat(row) for row in tables.variants]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def study_json(tables: StudyTables) -> dict[str, Any]:
    """Everything, for programs."""
    whole = asdict(tables)
    for row, source in zip(whole["variants"], tables.variants, strict=True):
        row["accuracies"] = {name: _difference(d) for name, d in source.accuracies.items()}
    for row, comparison in zip(whole["comparisons"], tables.comparisons, strict=True):
        row["difference"] = _difference(comparison.difference)
    return whole


def _variant_cells(row: VariantRow) -> dict[str, str]:
    leader, solo, vote = (row.accuracies.get(name) for name in (LEADER, "leader_solo", "majority_vote"))
    return {
        "variant": f"`{row.name}`: {row.about}" if row.about != row.name else f"`{row.name}`",
        "leader + team": _accuracy(leader),
        "leader alone": _accuracy(solo),
        "majority vote": f"{vote.difference:.3f}" if vote else "",
        "n": str(leader.n) if leader else "",
        "seeds": str(len(row.seeds)),
        "generations": f"{row.costs['generations']:.1f}" if row.costs else "",
        "tokens": f"{row.costs['prompt_tokens'] + row.costs['completion_tokens']:.0f}" if row.costs else "",
    }


def _asking_cells(row: VariantRow) -> dict[str, str]:
    tokens, always = (each["prompt_tokens"] + each["completion_tokens"] for each in (row.asking, row.costs))
    return {
        "variant": f"`{row.name}`",
        "accuracy": _accuracy(row.accuracies.get(CONSULT)),
        "questions that asked": f"{row.asking['share_asked']:.0%}",
        "generations": f"{row.asking['generations']:.1f}",
        "tokens": f"{tokens:.0f}",
        "of always asking": f"{tokens / always:.2f}",
    }


def _short_cells(row: VariantRow) -> dict[str, str]:
    """As many as a terminal of 80 columns holds."""
    long, solo = _variant_cells(row), row.accuracies.get("leader_solo")
    return {
        "variant": row.name,
        "leader + team": long["leader + team"],
        "alone": f"{solo.difference:.3f}" if solo else "",
        "vote": long["majority vote"],
        "n": long["n"],
        "seeds": long["seeds"],
        "gener-\nations": long["generations"],
        "tokens": long["tokens"],
    }


def _comparison_cells(row: ComparisonRow, confidence: float) -> dict[str, str]:
    difference, interval, n = row.difference
    return {
        "first": _side(row.first, row.second),
        "second": _side(row.second, row.first),
        "first - second": f"{difference:+.3f}",
        f"{percent(confidence)} interval": f"[{interval.low:+.3f}, {interval.high:+.3f}]",
        "n": str(n),
        "Holm p": p_value(row.holm_p),
        "verdict": f"{MARKS[row.verdict]} {row.verdict}",
    }


def _side(side: tuple[str, str], other: tuple[str, str]) -> str:
    """The variant; with its strategy where it is not the leader with its team on both sides."""
    variant, strategy = side
    return (
        variant if strategy == other[1] == LEADER else f"{variant}: {_SHORT.get(strategy) or strategy_label(strategy)}"
    )


def _accuracy(of: Difference | None) -> str:
    return f"{of.difference:.3f} [{of.interval.low:.3f}, {of.interval.high:.3f}]" if of else ""


def _difference(of: Difference) -> dict[str, Any]:
    return {"value": of.difference, "interval": list(of.interval), "n": of.n}


def _flat(row: VariantRow) -> dict[str, Any]:
    flat: dict[str, Any] = {"variant": row.name, "about": row.about, "seeds": " ".join(map(str, row.seeds))}
    for name, accuracy in row.accuracies.items():
        flat |= {
            name: accuracy.difference,
            f"{name}_low": accuracy.interval.low,
            f"{name}_high": accuracy.interval.high,
        }
        flat["n"] = accuracy.n
    asking = {f"asking_{name}": value for name, value in row.asking.items()}
    return flat | dict(row.costs) | asking | {"failed": row.failed}


def _markdown(rows: Sequence[Mapping[str, str]]) -> str:
    header, aligned = " | ".join(rows[0]), "|".join(["---", *["---:"] * (len(rows[0]) - 1)])
    return "\n".join([f"| {header} |", f"|{aligned}|", *(f"| {' | '.join(row.values())} |" for row in rows)])

"""metrics.json in the order and the words of a reader: one row a strategy, one row a difference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from mlpo.method.metrics.significance import Verdict, verdict

_LABELS = {
    "majority_vote": "majority vote",
    "majority_vote_equal_generations": "vote at equal generations",
    "majority_vote_equal_tokens": "vote at equal tokens",
    "self_consistency": "self-consistency",
    "self_consistency_equal_generations": "self-consistency at equal generations",
    "self_consistency_equal_tokens": "self-consistency at equal tokens",
    "mixture_of_agents": "Mixture-of-Agents",
    "corex_discuss": "Corex discuss",
    "corex_review": "Corex review",
    "corex_retrieve": "Corex retrieve",
    "deferral": "deferring leader",
    "pooled_documents": "untrained leader, all documents",
    "sft_pooled_documents": "SFT leader, all documents",
    "untrained_leader": "untrained leader + team",
    "sft_leader": "SFT leader + team",
    "sft_leader_solo": "SFT leader alone",
    "leader": "MLPO leader + team",
    "leader_solo": "MLPO leader alone",
    "leader_consult": "MLPO leader, team if unsure",
    "oracle_any": "oracle",
}
_BUDGETS = ("", "_equal_generations", "_equal_tokens")
_BEFORE_OTHERS = tuple(name + budget for name in ("majority_vote", "self_consistency") for budget in _BUDGETS)
_AFTER_OTHERS = (
    "untrained_leader",
    "sft_leader",
    "sft_leader_solo",
    "leader",
    "leader_solo",
    "leader_consult",
    "oracle_any",
)
_ROUTERS = ("router_by_family", "router_by_overlap", "surest_agent")
_RIVALS = ("majority_vote", "weighted_vote", "best_single", *_ROUTERS, "untrained_leader", "sft_leader", "leader_solo")
"""What the leader is compared with first; the rest follows by name."""


class StrategyRow(NamedTuple):
    """One strategy: shares of problems, and costs per problem."""

    name: str
    label: str
    accuracy: float
    low: float
    high: float
    n: int
    invalid_rate: float
    generations: float
    prompt_tokens: float
    completion_tokens: float
    upper_bound: bool
    """It looked at the targets: nobody can choose this well."""


class DifferenceRow(NamedTuple):
    """The leader's accuracy minus a rival's, paired by problem."""

    name: str
    label: str
    difference: float
    low: float
    high: float
    n: int
    holm_p: float
    """McNemar's p, corrected for all rows."""
    verdict: Verdict


def strategy_rows(metrics: Mapping[str, Any]) -> list[StrategyRow]:
    """Agents by name, then what needs no training, then leaders from untrained to MLPO, the upper bound last."""
    strategies = metrics["strategies"]
    return [_strategy(name, strategies[name]) for name in in_reading_order(strategies)]


def in_reading_order(names: Iterable[str]) -> list[str]:
    """Strategies in the order of every table."""
    return sorted(names, key=_place)


def difference_rows(metrics: Mapping[str, Any], confidence: float = 0.95) -> list[DifferenceRow]:
    """The leader against its rivals; single agents are represented by the best one, the oracle is no rival."""
    found = {name.removeprefix("leader_vs_"): row for name, row in metrics["paired"].items()}
    others = sorted(name for name in found if name not in _RIVALS and not name.startswith(("single:", "oracle")))
    shown = [name for name in (*_RIVALS, *others) if name in found]
    return [_difference(name, found[name], metrics["best_single"], confidence) for name in shown]


def strategy_label(name: str) -> str:
    """What a reader calls a strategy."""
    if name.startswith("single:"):
        return f"agent {name.removeprefix('single:')}"
    return _LABELS.get(name, name.replace("_", " "))


def p_value(p: float) -> str:
    """To three places."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def rule(pairs: int, confidence: float) -> str:
    """What a verdict follows, for readers of a table of so many pairs."""
    said = f"Better or worse: p <= {1 - confidence:g} after Holm's correction over the pairs shown ({pairs})."
    return f"{said} Intervals are uncorrected."


def percent(confidence: float) -> str:
    """0.95 -> "95 %"."""
    return f"{100 * confidence:g} %"


def _strategy(name: str, row: Mapping[str, Any]) -> StrategyRow:
    low, high = row["interval"]
    costs = (row["generations"], row["prompt_tokens"], row["completion_tokens"])
    shares = (row["accuracy"], low, high, row["n"], row["invalid_rate"])
    return StrategyRow(name, strategy_label(name), *shares, *costs, upper_bound=row["upper_bound"])


def _difference(name: str, row: Mapping[str, Any], best_single: str, confidence: float) -> DifferenceRow:
    low, high = row["interval"]
    label = f"best agent ({best_single})" if name == "best_single" else strategy_label(name)
    said = verdict(row["difference"], row["holm_p"], confidence=confidence)
    return DifferenceRow(name, label, row["difference"], low, high, row["n"], row["holm_p"], said)


def _place(name: str) -> tuple[int, int, str]:
    if name.startswith("single:"):
        return 0, 0, name
    if name in _BEFORE_OTHERS:
        return 1, _BEFORE_OTHERS.index(name), name
    if name in _AFTER_OTHERS:
        return 3, _AFTER_OTHERS.index(name), name
    return 2, 0, name

"""Shares as metrics.json has them: with the number they are a share of, rounded to 6 places; of nothing it is 0."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

DIGITS = 6


def rounded(value: float) -> float:
    """The value to 6 places, so that equal results are equal bytes."""
    return round(float(value), DIGITS)


def share(flags: Iterable[bool]) -> dict[str, float]:
    """{"share": how many of `flags` are true, "n": how many there are}."""
    seen = list(flags)
    return {"share": rounded(sum(seen) / len(seen)) if seen else 0.0, "n": len(seen)}


def accuracy_by(pairs: Iterable[tuple[str, bool]]) -> dict[str, dict[str, float]]:
    """(key, right?) -> key -> {"accuracy", "n"}, by key."""
    flags: defaultdict[str, list[bool]] = defaultdict(list)
    for key, right in pairs:
        flags[key].append(right)
    return {key: {"accuracy": rounded(sum(f) / len(f)), "n": len(f)} for key, f in sorted(flags.items())}


def accuracy_by_count(pairs: Iterable[tuple[int, bool]], counts: Iterable[int]) -> dict[str, dict[str, float]]:
    """As `accuracy_by`, with a row for each of `counts`: one that never occurred has n 0."""
    found = accuracy_by((str(count), right) for count, right in pairs)
    return {str(count): found.get(str(count), {"accuracy": 0.0, "n": 0}) for count in counts}

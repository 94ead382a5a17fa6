"""What a benchmark gives: problems to train on and to test on, by family, and how many raw rows they came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from mlpo.config import ConfigError
from mlpo.method.answer_forms import canonical_form
from mlpo.method.splits import cut, same_question
from mlpo.types import Problem

Families = Mapping[str, list[Problem]]
"""Family -> its problems, in a fixed order."""
HALF = Fraction(1, 2)


@dataclass(frozen=True, slots=True)
class Pools:
    """Where the splits are drawn from. A benchmark without splits of its own is cut in two by content."""

    train: Families
    """Worked examples, training and calibration problems come from here."""
    test: Families
    rows: Mapping[str, int] = field(default_factory=dict)
    """Official split -> raw rows read."""
    duplicates: int = 0
    """Problems left out because the test pool, or another row of a halved benchmark, asks the same."""
    unreadable: int = 0
    """Problems left out because their published target is no answer of their kind, such as an empty one."""


def by_family(problems: Iterable[Problem]) -> dict[str, list[Problem]]:
    """Problems under their families, families by name."""
    found: dict[str, list[Problem]] = {}
    for problem in problems:
        found.setdefault(problem.family, []).append(problem)
    return dict(sorted(found.items()))


def official(train: list[Problem], test: list[Problem]) -> Pools:
    """A benchmark's own splits, less the training problems whose question the test split asks too."""
    asked = {same_question(p) for p in test}
    kept = [p for p in train if same_question(p) not in asked]
    trained, tested = _readable(kept), _readable(test)
    return Pools(
        by_family(trained),
        by_family(tested),
        rows={"train": len(train), "test": len(test)},
        duplicates=len(train) - len(kept),
        unreadable=len(kept) + len(test) - len(trained) - len(tested),
    )


def halved(problems: list[Problem]) -> Pools:
    """A benchmark that only has a test split: half of it trains, by content, so that added rows move no other."""
    readable = _readable(problems)
    asked_once = _asked_once(readable)
    train, test = cut(asked_once, HALF)
    return Pools(
        by_family(train),
        by_family(test),
        rows={"test": len(problems)},
        duplicates=len(readable) - len(asked_once),
        unreadable=len(problems) - len(readable),
    )


def cut_once(families: Families, test_share: Fraction) -> Pools:
    """A benchmark that is made here: a share of every family tests, whatever the seed, and the rest is drawn from."""
    sides = {family: cut(problems, test_share) for family, problems in families.items()}
    return Pools({f: rest for f, (rest, _) in sides.items()}, {f: test for f, (_, test) in sides.items()})


def _asked_once(problems: list[Problem]) -> list[Problem]:
    """One problem of each question, that of the first family by name: families are drawn from on their own."""
    first: dict[str, Problem] = {}
    for problem in problems:
        known = first.setdefault(same_question(problem), problem)
        if problem.family < known.family:
            first[same_question(problem)] = problem
    return list(first.values())


def _readable(problems: list[Problem]) -> list[Problem]:
    return [p for p in problems if canonical_form(p.target, p.answer_kind, p.choices) is not None]


def check_counts(benchmark: str, found: Mapping[str, int], expected: Mapping[str, int], source: str) -> None:
    """Refuse rows that cannot be the benchmark.

    Raises:
        ConfigError: a split has another number of rows than is published.
    """
    for split, count in expected.items():
        if found.get(split, 0) != count:
            raise ConfigError(
                f"benchmark {benchmark}: {found.get(split, 0):,} rows of {split!r} in {source}, but it has {count:,}; "
                "take the whole benchmark (prepare.source, prepare.path, prepare.revision)"
            )

"""Raw rows -> problems: a row that is not as its benchmark publishes them is named, with what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from mlpo.benchmarks.sources import Row
from mlpo.config import ConfigError
from mlpo.types import Problem


def read_problems(
    benchmark: str, split: str, rows: Iterable[tuple[str, Row]], problem: Callable[[Row, str], Problem]
) -> list[Problem]:
    """Every row's problem, in order.

    Args:
        rows: each with the part of the dataset it stands in.
        problem: a row and its part -> its problem; its ValueError says what is wrong with the row.
    Raises:
        ConfigError: a row is not the benchmark's; the message names it by its number, from 1 in its split and part.
    """
    problems: list[Problem] = []
    read: Counter[str] = Counter()
    for part, row in rows:
        read[part] += 1
        try:
            problems.append(problem(row, part))
        except ValueError as error:
            where = f"row {read[part]} of {split!r}" + (f" ({part})" if part != "default" else "")
            raise ConfigError(f"benchmark {benchmark}: {where}: {error}") from None
    return problems


def field(row: Row, name: str) -> Any:
    """What a row holds under a name.

    Raises:
        ValueError: nothing.
    """
    if name not in row:
        raise ValueError(f"has no {name!r}; its fields are {', '.join(row) or 'none'}")
    return row[name]


def text(row: Row, name: str) -> str:
    """A field that holds text, without the blanks around it.

    Raises:
        ValueError: it is missing, or not text.
    """
    value = field(row, name)
    if not isinstance(value, str):
        raise ValueError(f"{name!r} is {value!r:.40}, not text")  # noqa: TRY004  a wrong row, not a wrong argument
    return value.strip()

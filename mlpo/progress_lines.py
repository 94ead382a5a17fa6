"""How a stage says in a log how far it is, and how that line is read: by Prefect's bar and by a study."""

from __future__ import annotations

import re
from typing import NamedTuple

_LINE = re.compile(r"([^:]{1,200}): (\d{1,18}) of (\d{1,18}) (\w+)")


class Reached(NamedTuple):
    """How far something is."""

    title: str
    """Of a stage its name first: "evaluate", "propose@alpha"."""
    done: int
    total: int
    unit: str

    @property
    def share(self) -> float:
        """Between 0 and 1; nothing to do is done."""
        return min(self.done / self.total, 1.0) if self.total else 1.0

    def __str__(self) -> str:
        return f"{self.title}: {self.done} of {self.total} {self.unit}"


def read_progress(line: str) -> Reached | None:
    """What a line of a log says, if it begins as `str(Reached(...))` does."""
    said = _LINE.match(line)
    return Reached(said[1], int(said[2]), int(said[3]), said[4]) if said else None

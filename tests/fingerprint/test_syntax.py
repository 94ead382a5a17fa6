"""The digest of a Python file: what changes no result leaves it as it is, anything else changes it."""

from __future__ import annotations

import pytest

from mlpo.fingerprint.syntax import python_digest

BEFORE = '''
"""What it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

LIMIT: int = 5
"""A limit."""


class Row(NamedTuple):
    """A row."""

    name: str
    """Its name."""
    size: int = 3

    def doubled(self, times: int = 2) -> int:
        """Twice as much."""
        size: int = self.size
        found: list[int]
        return size * times if size > LIMIT else -size
'''


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"""What it is."""', '"""What it does."""\n# and why'),
        ('"""A limit."""', '"""An upper limit."""'),
        ('        """Twice as much."""\n', ""),
        ("times: int = 2) -> int:", "times=2):"),
        ("LIMIT: int = 5", "LIMIT: float = 5"),
        ("size: int = self.size", "size: float = self.size"),
        ("        found: list[int]\n", ""),
        ("from pathlib import Path", "from pathlib import PurePath"),
        (
            "return size * times if size > LIMIT else -size",
            "return (\n            size * times if size > LIMIT else -size\n        )",
        ),
    ],
)
def test_what_changes_no_result_changes_no_digest(before: str, after: str) -> None:
    assert before in BEFORE
    assert python_digest(BEFORE.replace(before, after).encode()) == python_digest(BEFORE.encode())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("LIMIT: int = 5", "LIMIT: int = 6"),
        ("size: int = 3", "size: float = 3"),  # NamedTuple, dataclasses and pydantic read it
        ("    name: str\n", "    label: str\n"),
        ("times: int = 2", "times: int = 3"),
        ("size * times", "size + times"),
        ("size > LIMIT", "size >= LIMIT"),
        ("else -size", "else size"),
        ("LIMIT: int = 5", "LIMIT: int = 5.0"),
        ("LIMIT: int = 5", 'LIMIT: int = "5"'),
        ("if TYPE_CHECKING:", "if NamedTuple:"),
        ("    from pathlib import Path\n", "    from pathlib import Path\nelse:\n    Path = None\n"),
        ("class Row(NamedTuple)", "class Row(tuple)"),
    ],
)
def test_what_may_change_a_result_changes_the_digest(before: str, after: str) -> None:
    assert before in BEFORE
    assert python_digest(BEFORE.replace(before, after).encode()) != python_digest(BEFORE.encode())


def test_what_is_no_python_is_refused() -> None:
    with pytest.raises(SyntaxError):
        python_digest(b"def")

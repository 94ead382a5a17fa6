"""What a mistyped name may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def suggestion(name: str, known: Iterable[str], *, otherwise: str = "there are") -> str:
    """ "did you mean X?", or all known names after `otherwise` where none is near."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]}?" if close else f"{otherwise} {', '.join(names) or 'none'}"

"""Seeds derived from names: every random choice gets its own, so that adding one choice moves no other."""

from __future__ import annotations

import hashlib
import json


def derive_seed(*parts: str | int) -> int:
    """The seed that belongs to `parts`: the first 31 bits of sha256(JSON of the parts), in [0, 2**31).

    Equal parts give equal seeds on every machine and Python version; ("a", "bc") and ("ab", "c"), 1 and "1" differ.
    """
    digest = hashlib.sha256(json.dumps(parts, ensure_ascii=True).encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1

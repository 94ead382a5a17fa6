"""Names and values as MLflow takes them: flat keys, legal characters, lengths within its limits."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping

MAX_PARAM_CHARACTERS = 6000
"""MLflow's MAX_PARAM_VAL_LENGTH; longer values are refused or cut there."""
MAX_NAME_CHARACTERS = 250
MAX_DIGEST_CHARACTERS = 36
"""MLflow's MAX_DATASET_DIGEST_SIZE: just enough for an MD5 and DVC's ".dir"."""

_ILLEGAL = re.compile(r"[^\w\-. :/]", re.ASCII)


def legal_name(name: str) -> str:
    """A metric or parameter name in MLflow's alphabet (letters, digits, `_-. :/`), and no path out of its folder."""
    parts = [part for part in _ILLEGAL.sub("_", name).split("/") if part not in ("", ".", "..")]
    return "/".join(parts)[:MAX_NAME_CHARACTERS] or "_"


def flatten(values: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    """Nested parameters as one level: {"a": {"b": [1]}} -> {"a.b": "[1]"}; anything but a string is written as JSON."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{name}.")
        else:
            flat[legal_name(name)] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return flat


def split_oversized(flat: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Parameters that fit, and the texts that do not: their parameter keeps a hash, the text is for an artifact."""
    fitting: dict[str, str] = {}
    oversized: dict[str, str] = {}
    for name, value in flat.items():
        if len(value) <= MAX_PARAM_CHARACTERS:
            fitting[name] = value
        else:
            oversized[name] = value
            fitting[name] = f"sha256:{hashlib.sha256(value.encode()).hexdigest()}, see artifact params/{name}.txt"
    return fitting, oversized


def legal_digest(digest: str) -> str:
    """A content hash short enough for a dataset input; one that is too long is hashed again, so it stays distinct."""
    return (
        digest
        if len(digest) <= MAX_DIGEST_CHARACTERS
        else hashlib.md5(digest.encode(), usedforsecurity=False).hexdigest()
    )

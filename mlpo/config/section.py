"""What every section of params.yaml is: frozen, known keys only, and hashed by content."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict


class ConfigError(ValueError):
    """A parameter is unknown, missing or out of range. The message says which, where and how to mend it."""


class Section(BaseModel):
    """A section of params.yaml: frozen, and every unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def digest(value: Any) -> str:
    """A short content hash of anything JSON can hold: the same value gives the same 16 hex digits on every machine."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", by_alias=True)
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]

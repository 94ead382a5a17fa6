"""What every section of params.yaml is: frozen, known keys only, and hashed by content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict


class ConfigError(ValueError):
    """A parameter is unknown, missing or out of range. The message says which, where and how to mend it."""


class Section(BaseModel):
    """A section of params.yaml: frozen, and every unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    WITHOUT_EFFECT: ClassVar[frozenset[str]] = frozenset()
    """Parameters that never change a result: how something is reached, how long is waited, when a run is saved."""


def effective(section: Section) -> dict[str, Any]:
    """The parameters that can change a result, by the names of params.yaml, as JSON holds them."""
    fields = type(section).model_fields.items()
    kept = {info.alias or name: getattr(section, name) for name, info in fields if name not in section.WITHOUT_EFFECT}
    plain = section.model_dump(mode="json", by_alias=True)
    return {name: _effective(value, plain[name]) for name, value in kept.items()}


def _effective(value: Any, plain: Any) -> Any:
    if isinstance(value, Section):
        return effective(value)
    if isinstance(value, Mapping):
        return {key: _effective(each, plain[key]) for key, each in value.items()}
    return plain


def digest(value: Any) -> str:
    """A short content hash of anything JSON can hold: the same value gives the same 16 hex digits on every machine."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", by_alias=True)
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]

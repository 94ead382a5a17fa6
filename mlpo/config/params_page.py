"""Every parameter as a row: what `mlpo params` shows of the sections in mlpo/config."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from mlpo.config import Params

_SIGNS = {Ge: "≥ {0.ge}", Gt: "> {0.gt}", Le: "≤ {0.le}", Lt: "< {0.lt}", MinLen: "at least {0.min_length}"}


class Parameter(NamedTuple):
    """One line of params.yaml."""

    name: str
    kind: str
    default: str
    limits: str
    meaning: str


def parameters(section: type[BaseModel] = Params, prefix: str = "") -> Iterator[Parameter]:
    """The parameters of a section and those below it, in the order they are written."""
    for field, info in section.model_fields.items():
        name = prefix + (info.alias or field)
        if inner := _section_in(info.annotation):
            yield from parameters(inner, f"{name}.<name>." if get_origin(info.annotation) is dict else f"{name}.")
            continue
        default = info.get_default(call_default_factory=True, validated_data={})
        limits = ", ".join(_SIGNS[type(limit)].format(limit) for limit in info.metadata if type(limit) in _SIGNS)
        yield Parameter(
            name,
            _name(info.annotation),
            "required" if default is PydanticUndefined else json.dumps(default),
            limits,
            info.description or "",
        )


def _section_in(kind: Any) -> type[BaseModel] | None:
    """The section a field holds, directly or as the values of a mapping."""
    kinds = (kind, *getattr(kind, "__args__", ()))
    return next((each for each in kinds if isinstance(each, type) and issubclass(each, BaseModel)), None)


def _name(kind: Any) -> str:
    if isinstance(kind, type) and not hasattr(kind, "__args__"):
        return kind.__name__
    return str(kind).replace("typing.", "").replace("NoneType", "None")

"""What a flow may be asked: the sections of params.yaml as a typed form, every field optional, unknown ones refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from mlpo.config import Params

StageName = Literal[
    "prepare",
    "reference",
    "propose",
    "demonstrate",
    "train_sft",
    "headroom",
    "train_mlpo",
    "calibrate",
    "evaluate",
    "register",
]


def partial(section: type[BaseModel]) -> Any:
    """A TypedDict with the section's fields, their types, ranges and meanings, none of them required.

    A TypedDict and not a model with defaults: what was not set is absent, so it can't be mistaken for a value.
    """
    fields = {info.alias or name: _optional(info.annotation, info) for name, info in section.model_fields.items()}
    # mypy only knows TypedDicts that are written out; pydantic reads this one as any other.
    form = TypedDict(f"{section.__name__}Overrides", fields, total=False)  # type: ignore[misc]
    form.__doc__ = section.__doc__
    form.__pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[attr-defined]
    return form


def _optional(kind: Any, info: Any) -> Any:
    described = Field(description=info.description)
    if _is_section(kind):
        return Annotated[partial(kind), described]
    if get_origin(kind) is dict and _is_section(get_args(kind)[1]):
        key, section = get_args(kind)
        return Annotated[dict.__class_getitem__((key, partial(section))), described]
    return Annotated[kind, *info.metadata, described]


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


if TYPE_CHECKING:
    Overrides = dict[str, Any]
else:
    Overrides = partial(Params)

"""Overrides: `section.key=value` as typed by a user -> a nested mapping laid over params.yaml."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from mlpo.config import ConfigError


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """Read `["train_mlpo.steps=2", "seed=1"]` as `{"train_mlpo": {"steps": 2}, "seed": 1}`; values are YAML.

    Raises:
        ConfigError: an assignment has no `=`, no key, or a value that is not YAML.
    """
    overrides: dict[str, Any] = {}
    for assignment in assignments:
        dotted, equals, text = assignment.partition("=")
        keys = dotted.strip().split(".")
        if not equals or not all(keys):
            raise ConfigError(f"{assignment!r} is not an override; write section.key=value, such as train_mlpo.steps=2")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            raise ConfigError(f"{dotted}: {text!r} is not a YAML value; quote it") from None
        for key in reversed(keys):
            value = {key: value}
        overrides = merge(overrides, value)
    return overrides


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """A new mapping: `base` with the values of `over` laid on top. Mappings are merged, all else is replaced.

    None takes a whole mapping out: `team.geo=null` is the team without geo, `train_sft.lora=null` the default of lora.
    """
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and value is None:
            del merged[key]
        elif isinstance(below, Mapping) and isinstance(value, Mapping):
            merged[key] = merge(below, value)
        else:
            merged[key] = value
    return merged

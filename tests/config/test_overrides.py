"""Overrides are read as YAML, laid over what is there, and change neither side."""

from __future__ import annotations

import pytest

from mlpo.config import ConfigError
from mlpo.config.overrides import merge, parse_assignments


def test_assignments_are_nested_and_typed_by_yaml() -> None:
    read = parse_assignments(
        ["train_mlpo.steps=2", "train_mlpo.learning_rate=1.0e-5", "leader.revision=null", "seed=1"]
    )
    assert read == {"train_mlpo": {"steps": 2, "learning_rate": 1e-5}, "leader": {"revision": None}, "seed": 1}


def test_the_last_of_two_equal_keys_counts() -> None:
    assert parse_assignments(["seed=1", "seed=2"]) == {"seed": 2}


def test_a_value_may_hold_an_equals_sign() -> None:
    assert parse_assignments(["leader.model=a=b"]) == {"leader": {"model": "a=b"}}


@pytest.mark.parametrize("wrong", ["seed", "=1", "a..b=1", "seed=[1"])
def test_what_is_no_assignment_is_refused_by_name(wrong: str) -> None:
    with pytest.raises(ConfigError, match=r"is not an override|is not a YAML value"):
        parse_assignments([wrong])


def test_merging_replaces_lists_and_leaves_both_sides_alone() -> None:
    base = {"prepare": {"families": ["a", "b"], "num_train": 1}, "seed": 0}
    over = {"prepare": {"families": ["c"]}}
    assert merge(base, over) == {"prepare": {"families": ["c"], "num_train": 1}, "seed": 0}
    assert base == {"prepare": {"families": ["a", "b"], "num_train": 1}, "seed": 0}
    assert over == {"prepare": {"families": ["c"]}}


def test_null_takes_a_mapping_out_and_is_else_a_value() -> None:
    base = {"team": {"geo": {"model": "a"}, "number": {"model": "b"}}, "leader": {"revision": "main"}}
    merged = merge(base, {"team": {"geo": None}, "leader": {"revision": None}})
    assert merged == {"team": {"number": {"model": "b"}}, "leader": {"revision": None}}

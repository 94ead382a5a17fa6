"""Whatever we call things, MLflow accepts it; these claims are checked against MLflow's own validators."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from mlflow.utils.validation import (
    MAX_DATASET_DIGEST_SIZE,
    MAX_PARAM_VAL_LENGTH,
    _validate_metric_name,
    _validate_param,
)

from mlpo.tracking.mlflow_limits import flatten, legal_digest, legal_name, split_oversized


@given(st.text())
def test_every_name_becomes_legal(name: str) -> None:
    _validate_metric_name(legal_name(name))


def test_a_legal_name_stays_as_it_is() -> None:
    assert legal_name("reward/well_formed-share 2.5:x") == "reward/well_formed-share 2.5:x"


def test_parameters_are_flat_and_readable() -> None:
    nested = {"seed": 0, "team": {"geo": {"shots": {"capital": 6}, "system": "Be brief.", "stop": ["\n"]}}, "shots": {}}
    assert flatten(nested) == {
        "seed": "0",
        "team.geo.shots.capital": "6",
        "team.geo.system": "Be brief.",
        "team.geo.stop": '["\\n"]',
        "shots": "{}",
    }


def test_a_value_at_the_limit_stays_and_one_above_is_replaced_by_its_hash() -> None:
    fitting, oversized = split_oversized({"a": "x" * MAX_PARAM_VAL_LENGTH, "b": "x" * (MAX_PARAM_VAL_LENGTH + 1)})
    assert oversized.keys() == {"b"}
    assert fitting["a"] == "x" * MAX_PARAM_VAL_LENGTH
    for name, value in fitting.items():
        _validate_param(name, value)


def test_digests_fit_and_long_ones_stay_distinct() -> None:
    folder = "d" * 32 + ".dir"  # DVC's longest
    assert legal_digest(folder) == folder
    long = [legal_digest("a" * 64), legal_digest("a" * 63 + "b")]
    assert len(set(long)) == 2
    assert all(len(digest) <= MAX_DATASET_DIGEST_SIZE for digest in long)

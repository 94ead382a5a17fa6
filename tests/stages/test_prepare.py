"""Stage `prepare`: what it writes, and what it refuses before it writes."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlpo.benchmarks import BENCHMARKS
from mlpo.config import ConfigError, PrepareConfig, parse_params
from mlpo.layout import (
    CALIBRATION_PROBLEMS,
    PROBLEM_STATISTICS,
    PROBLEMS,
    SHOT_PROBLEMS,
    TEST_PROBLEMS,
    TRAIN_PROBLEMS,
)
from mlpo.method.splits import Splits
from mlpo.stages import prepare
from mlpo.store import read_jsonl
from mlpo.types import Problem

ROOT = Path(__file__).parents[2]
RAW = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))


def changed(**prepare: Any) -> Any:
    return parse_params(RAW | {"prepare": RAW["prepare"] | prepare})


def drawn(config: PrepareConfig) -> Splits:
    return prepare.draw_splits(BENCHMARKS[config.benchmark].load(config), config, seed=0)


def test_the_default_is_large_enough_and_balanced():
    splits = drawn(changed().prepare)
    assert (len(splits.train), len(splits.calibration), len(splits.test)) == (280, 120, 301)
    for split in (splits.train, splits.calibration, splits.test):
        per_family = Counter(p.family for p in split)
        assert len(per_family) == 9
        assert max(per_family.values()) - min(per_family.values()) <= 1


def test_no_seeds_shot_training_or_calibration_problem_is_anothers_test_problem():
    config = changed().prepare
    pools = BENCHMARKS["basics"].load(config)
    every = [prepare.draw_splits(pools, config, seed) for seed in range(10)]
    seen = {p.id for s in every for p in (*s.shots, *s.train, *s.calibration)}
    tested = {p.id for s in every for p in s.test}
    assert seen & tested == set()
    assert len(tested) > 600  # seeds differ in what they test on, within the part that tests
    assert len({s.calibration for s in every}) == 10


def test_no_calibration_problems_may_be_wanted():
    splits = drawn(changed(num_calibration=0).prepare)
    assert splits.calibration == ()
    assert splits.train == drawn(changed().prepare).train


def test_what_is_left_over_goes_to_the_first_families():
    config = changed(num_train=11, num_test=9).prepare  # 11 = 9 * 1 + 2
    splits = drawn(config)
    first = config.families[:2]
    assert [sum(p.family == f for p in splits.train) for f in config.families] == [
        2 if f in first else 1 for f in config.families
    ]


def test_all_families_are_every_family():
    splits = drawn(changed(families=["all"], num_train=18, num_test=18).prepare)
    assert {p.family for p in splits.test} == set(changed().prepare.families)


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (
            {"num_train": 1000},
            r"family 'capital' of basics holds 130 training and 80 .*, but 1\d\d .*14 calibration.* wanted.*lower",
        ),
        ({"num_test": 900}, r"family 'capital' .* and 100 test are wanted; lower num_train, num_calibration or num_t"),
        ({"families": [*RAW["prepare"]["families"], "history"]}, "has no family 'history'"),
    ],
)
def test_what_it_cannot_draw_it_refuses_by_name(prepare: dict[str, Any], message: str):
    with pytest.raises(ConfigError, match=message):
        drawn(changed(**prepare).prepare)


def test_the_same_seed_writes_the_same_bytes(house: Path):
    written = []
    for _ in range(2):
        prepare.run(changed(num_train=14, num_test=14))
        written.append([path.read_bytes() for path in sorted(PROBLEMS.iterdir())])
    assert written[0] == written[1]
    sizes = {TRAIN_PROBLEMS: 14, CALIBRATION_PROBLEMS: 120, TEST_PROBLEMS: 14, SHOT_PROBLEMS: 54}
    assert {path: len(list(read_jsonl(path, Problem))) for path in sizes} == sizes


def test_what_was_read_and_shared_is_written_beside_the_problems(house: Path):
    prepare.run(changed(num_train=14, num_test=14))
    statistics = json.loads(PROBLEM_STATISTICS.read_text())
    assert statistics["problems"] == {"train": 14, "calibration": 120, "test": 14, "shots": 54}
    assert statistics["contamination"] == {
        "exact": 0, "exact_left_out": 0, "ngram": 0, "ngram_by_family": {}, "ngram_ids": [], "ngram_calibration": 0,
    }  # fmt: skip
    (run,) = [run for run in runs() if run.data.tags["mlflow.runName"] == "prepare"]
    assert run.data.metrics["contamination.ngram"] == 0


def runs() -> list[Any]:
    from mlflow import MlflowClient

    client = MlflowClient()
    return list(client.search_runs([e.experiment_id for e in client.search_experiments()]))


def test_a_refusal_changes_nothing(house: Path):
    def files() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in PROBLEMS.iterdir()}

    before = files()
    with pytest.raises(ConfigError):
        prepare.run(changed(num_train=900))
    assert files() == before

"""Stage `prepare`: a benchmark's rows -> shots, training, calibration and test problems (-> data/problems)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from mlpo.benchmarks import BENCHMARKS
from mlpo.benchmarks.pools import Pools
from mlpo.config import ALL_FAMILIES, ConfigError, Params, PrepareConfig
from mlpo.files import write_json_atomic
from mlpo.layout import (
    CALIBRATION_PROBLEMS,
    PROBLEM_STATISTICS,
    PROBLEMS,
    SHOT_PROBLEMS,
    TEST_PROBLEMS,
    TRAIN_PROBLEMS,
)
from mlpo.method.contamination import contaminated
from mlpo.method.splits import Sizes, Splits, overlap, split_family
from mlpo.stages.timings import stage_clock
from mlpo.store import write_jsonl_atomic
from mlpo.tracking.stage_run import stage_run


def run(params: Params) -> None:
    """Draw the four splits, family by family, and say what of the test one a model may have met in training.

    Raises:
        ConfigError: the rows are not there or not the benchmark's, or a family is unknown or holds too few problems;
            nothing is written.
    """
    with stage_clock("prepare"), stage_run("prepare", params, inputs=[], outputs=[PROBLEMS]) as tracked:
        pools = BENCHMARKS[params.prepare.benchmark].load(params.prepare)
        splits = draw_splits(pools, params.prepare, params.seed)
        statistics = describe(params.prepare, pools, splits)
        for path, problems in (
            (SHOT_PROBLEMS, splits.shots),
            (TRAIN_PROBLEMS, splits.train),
            (CALIBRATION_PROBLEMS, splits.calibration),
            (TEST_PROBLEMS, splits.test),
        ):
            write_jsonl_atomic(path, problems)
        write_json_atomic(PROBLEM_STATISTICS, statistics)
        counts, found = statistics["problems"], statistics["contamination"]
        tracked.log_result(counts | {f"contamination.{name}": found[name] for name in ("exact", "ngram")})
    print(f"{PROBLEMS}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    print(f"{found['ngram']} test problems share 13 words in a row with one that is trained or calibrated on")


def draw_splits(pools: Pools, config: PrepareConfig, seed: int) -> Splits:
    """The splits of every family together; all but the shots in an order that mixes the families.

    Raises:
        ConfigError: see `run`.
    """
    families = tuple(pools.test) if config.families == (ALL_FAMILIES,) else config.families
    wanted = (config.num_train, config.num_calibration, config.num_test)
    shares = zip(*(_even(total, families) for total in wanted), strict=True)
    sizes = [Sizes(config.num_shots, *share) for share in shares]
    parts = [_family(pools, config, family, each, seed) for family, each in zip(families, sizes, strict=True)]
    merged = Splits.merge(parts, seed)
    if shared := overlap(merged):
        raise ConfigError(f"benchmark {config.benchmark}: {len(shared)} questions stand in two splits: {shared[0]!r}")
    return merged


def describe(config: PrepareConfig, pools: Pools, splits: Splits) -> dict[str, Any]:
    """What was read and drawn, and which test problems share a passage with those of another split."""
    trained = (*splits.shots, *splits.train)
    shared = contaminated((*trained, *splits.calibration), splits.test)
    return {
        "benchmark": config.benchmark,
        "licence": BENCHMARKS[config.benchmark].licence,
        "source": config.source,
        "rows": dict(pools.rows),
        "unreadable_left_out": pools.unreadable,
        "problems": {
            "train": len(splits.train),
            "calibration": len(splits.calibration),
            "test": len(splits.test),
            "shots": len(splits.shots),
        },
        "contamination": {
            "exact": len(overlap(splits)),
            "exact_left_out": pools.duplicates,
            "ngram": len(shared),
            "ngram_by_family": dict(sorted(Counter(p.family for p in shared).items())),
            "ngram_ids": [p.id for p in shared],
            "ngram_calibration": len(contaminated(trained, splits.calibration)),
        },
    }


def _family(pools: Pools, config: PrepareConfig, family: str, sizes: Sizes, seed: int) -> Splits:
    if family not in pools.test:
        known = ", ".join(pools.test)
        raise ConfigError(f"params.yaml: prepare.families: {config.benchmark} has no family {family!r}; it has {known}")
    train, test = pools.train.get(family, []), pools.test[family]
    try:
        return split_family(train, test, sizes, seed)
    except ValueError:
        raise ConfigError(
            f"params.yaml: family {family!r} of {config.benchmark} holds {len(train)} training and {len(test)} test "
            f"problems, but {sum(sizes[:3])} ({sizes.shots} shots, {sizes.train} train, {sizes.calibration} "
            f"calibration) and {sizes.test} test are wanted; lower num_train, num_calibration or num_test"
        ) from None


def _even(total: int, families: Sequence[str]) -> list[int]:
    """`total` shared out as evenly as it goes; the first families get what is left over."""
    share, rest = divmod(total, len(families))
    return [share + (place < rest) for place in range(len(families))]

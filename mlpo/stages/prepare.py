"""Stage `prepare`: a benchmark's rows -> training, test and shots problems, disjoint by content (-> data/problems)."""

from __future__ import annotations

from collections.abc import Sequence

from mlpo.benchmarks import LOADERS
from mlpo.config import ConfigError, Params, PrepareConfig
from mlpo.layout import PROBLEMS, SHOT_PROBLEMS, TEST_PROBLEMS, TRAIN_PROBLEMS
from mlpo.method.splits import Splits, overlap, split_family
from mlpo.stages.clock import stage_clock
from mlpo.store import write_jsonl_atomic
from mlpo.tracking.runs import stage_run
from mlpo.types import Problem


def run(params: Params) -> None:
    """Draw the three splits, family by family.

    Raises:
        ConfigError: a family is unknown or holds too few problems; nothing is written.
    """
    with stage_clock("prepare"), stage_run("prepare", params, inputs=[], outputs=[PROBLEMS]) as tracked:
        splits = draw_splits(params.prepare, params.seed)
        for path, problems in (
            (SHOT_PROBLEMS, splits.shots),
            (TRAIN_PROBLEMS, splits.train),
            (TEST_PROBLEMS, splits.test),
        ):
            write_jsonl_atomic(path, problems)
        counts = {"train": len(splits.train), "test": len(splits.test), "shots": len(splits.shots)}
        tracked.log_result(counts)
    print(f"{PROBLEMS}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))


def draw_splits(config: PrepareConfig, seed: int) -> Splits:
    """The splits of every family together; training and test problems in an order that mixes the families.

    Raises:
        ConfigError: see `run`.
    """
    families = LOADERS[config.benchmark]()
    shares = zip(
        config.families, _even(config.num_train, config.families), _even(config.num_test, config.families), strict=True
    )
    parts = [_family(families, family, config, train, test, seed) for family, train, test in shares]
    merged = Splits.merge(parts, seed)
    if shared := overlap(merged):
        raise ConfigError(f"benchmark {config.benchmark}: {len(shared)} questions stand in two splits: {shared[0]!r}")
    return merged


def _family(
    families: dict[str, list[Problem]], family: str, config: PrepareConfig, num_train: int, num_test: int, seed: int
) -> Splits:
    if family not in families:
        raise ConfigError(
            f"params.yaml: prepare.families: {config.benchmark} has no family {family!r}; it has {', '.join(families)}"
        )
    wanted = config.num_shots + num_train + num_test
    if len(families[family]) < wanted:
        raise ConfigError(
            f"params.yaml: family {family!r} of {config.benchmark} holds {len(families[family])} problems, but "
            f"{wanted} are wanted ({config.num_shots} shots, {num_train} train, {num_test} test); lower num_train"
        )
    return split_family(families[family], config.num_shots, num_train, num_test, seed)


def _even(total: int, families: Sequence[str]) -> list[int]:
    """`total` shared out as evenly as it goes; the first families get what is left over."""
    share, rest = divmod(total, len(families))
    return [share + (place < rest) for place in range(len(families))]

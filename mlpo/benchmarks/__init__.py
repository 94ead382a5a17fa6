"""Benchmarks: raw rows -> problems. One file per benchmark, each opening with where its rows come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from mlpo.benchmarks import basics, bbh, gsm8k, math, math500, mmlu
from mlpo.benchmarks.pools import Pools, cut_once
from mlpo.config import PrepareConfig


class Benchmark(NamedTuple):
    """How a benchmark's problems are had, and on what terms."""

    load: Callable[[PrepareConfig], Pools]
    licence: str


def _basics(_: PrepareConfig) -> Pools:
    return cut_once(basics.load(), basics.TEST_SHARE)


BENCHMARKS: Mapping[str, Benchmark] = {
    "basics": Benchmark(_basics, "Apache-2.0; capitals, continents and currencies are of GeoNames, CC BY 4.0"),
    "bbh": Benchmark(bbh.load, "MIT"),
    "gsm8k": Benchmark(gsm8k.load, "MIT"),
    "math": Benchmark(math.load, "MIT"),
    "math500": Benchmark(math500.load, "MIT"),
    "mmlu": Benchmark(mmlu.load, "MIT"),
}
"""Name in `prepare.benchmark` -> the benchmark."""

"""Benchmarks: raw rows -> problems. One file per benchmark, each opening with where its rows come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mlpo.benchmarks import basics
from mlpo.types import Problem

LOADERS: Mapping[str, Callable[[], dict[str, list[Problem]]]] = {"basics": basics.load}
"""Benchmark name -> a function that returns every problem it has, by family, in a fixed order."""

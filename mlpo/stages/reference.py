"""Stage `reference@<agent>`: the documents that an agent alone can look up -> passages (-> data/references/<agent>)."""

from __future__ import annotations

import shutil
from pathlib import Path

from mlpo.benchmarks import BENCHMARKS
from mlpo.config import ConfigError, Params, PrepareConfig, ReferenceConfig
from mlpo.layout import passages_of, reference_of
from mlpo.method.dealing import facts
from mlpo.references.documents import read_documents
from mlpo.stages.timings import stage_clock
from mlpo.store import write_jsonl_atomic
from mlpo.team.holders import holds
from mlpo.team.prompts import check_agent
from mlpo.tracking.stage_run import stage_run
from mlpo.types import Passage, Problem


def run(params: Params, agent: str) -> None:
    """Cut the agent's documents into passages, or deal it its facts of a benchmark; an empty folder where it has none.

    DVC cannot know where a user's documents lie: stage `code` hashes them. Equal passages make nothing after it stale.

    Raises:
        ConfigError: no such agent; the documents are missing, empty or binary; the benchmark or a family is unknown.
    """
    check_agent(params, agent)
    config, folder = params.team[agent].reference, reference_of(agent)
    name = f"reference@{agent}"
    with stage_clock(name), stage_run(name, params, inputs=[], outputs=[folder]) as tracked:
        passages = [] if config is None else read_passages(config, params.prepare, agent)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        if passages:
            write_jsonl_atomic(passages_of(agent), passages)
        tracked.log_result({"passages": len(passages)})
    print(f"{folder}: {len(passages)} passages" if config else f"{folder}: empty, {agent} has no reference")


def read_passages(config: ReferenceConfig, prepare: PrepareConfig, agent: str) -> list[Passage]:
    """Every passage of a reference.

    Raises:
        ConfigError: see `run`.
    """
    if config.benchmark is None:
        return read_documents(Path(config.source), config.max_characters)
    return facts(held_problems(config, prepare, agent))


def held_problems(config: ReferenceConfig, prepare: PrepareConfig, agent: str) -> list[Problem]:
    """The problems of a benchmark whose facts an agent holds, in the benchmark's order.

    Raises:
        ConfigError: the benchmark or a family is unknown, or nothing is dealt to the agent.
    """
    where, benchmark = f"params.yaml: team.{agent}.reference", config.benchmark or ""
    if benchmark not in BENCHMARKS:
        raise ConfigError(f"{where}.source: no benchmark {benchmark!r}; there are {', '.join(BENCHMARKS)}")
    own = prepare if benchmark == prepare.benchmark else PrepareConfig(benchmark=benchmark, families=("all",))
    pools = BENCHMARKS[benchmark].load(own)
    if unknown := sorted(set(config.families) - pools.test.keys() - pools.train.keys()):
        raise ConfigError(f"{where}.families: {benchmark} has no {', '.join(unknown)}; it has {', '.join(pools.test)}")
    held = {
        problem.id: problem
        for pool in (pools.train, pools.test)
        for problems in pool.values()
        for problem in problems
        if holds(config, problem)
    }
    if not held:
        raise ConfigError(f"{where}: deals {agent} nothing; name more families or parts, or leave the reference out")
    return list(held.values())

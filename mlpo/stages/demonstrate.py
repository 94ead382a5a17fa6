"""Stage `demonstrate`: verified corrections for the warm start (train problems, proposals -> data/demonstrations)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from mlpo.config import ConfigError, Params
from mlpo.equivalence import is_equivalent
from mlpo.files import write_json_atomic
from mlpo.inference.local import LocalModels
from mlpo.inference.model_pool import ModelPool, Models, TokenCounter
from mlpo.layout import (
    DEMONSTRATION_STATISTICS,
    DEMONSTRATIONS,
    PROPOSALS,
    SHOT_PROBLEMS,
    SOLO_ACCURACY,
    TRAIN_PROBLEMS,
    WORK,
)
from mlpo.method.agreement import agreed
from mlpo.method.answers import agent_answer, is_correct
from mlpo.method.demonstrations import Demonstrations, build_demonstrations, count_demonstrations
from mlpo.method.prompts import AgentPrompt
from mlpo.method.strategies.leader_rounds import agent_request
from mlpo.stages.progress import progress
from mlpo.stages.timings import stage_clock
from mlpo.store import CompletionStore, read_jsonl, request_key, write_jsonl_atomic
from mlpo.team.proposals import read_proposal_sets
from mlpo.team.sampling import sampling_of
from mlpo.tracking.stage_run import stage_run
from mlpo.types import LEADER, Completion, Problem, Request

MAX_OWN_SHOTS = 8
"""Worked examples the untrained leader is shown: a benchmark may have 57 families."""
OWN_SYSTEM = "You are a helpful assistant."


def run(params: Params, *, models: Models | None = None) -> None:
    """Sample the untrained leader on the training problems and build demonstrations of its and the team's words.

    Raises:
        ConfigError: proposals are missing, or nothing could be built; nothing is written.
    """
    sets = read_proposal_sets(tuple(params.team), equivalent=is_equivalent)
    if params.rounds.agreement_samples > 1:
        sets = [agreed(each) for each in sets]
    problems = {s.problem.id: s.problem for s in sets}
    total = len(problems) * params.demonstrate.leader_samples
    inputs = [TRAIN_PROBLEMS, SHOT_PROBLEMS, PROPOSALS]
    outputs = [DEMONSTRATIONS, SOLO_ACCURACY, DEMONSTRATION_STATISTICS]
    source = models or LocalModels(params.runtime)
    with (
        stage_clock("demonstrate") as clock,
        stage_run("demonstrate", params, inputs=inputs, outputs=outputs) as tracked,
        closing(CompletionStore(WORK / "demonstrate.jsonl")) as store,
        progress("demonstrate", total, unit="samples") as advance,
        closing(ModelPool(source, store, request_key, ledger=clock.ledger, on_done=advance)) as model_pool,
    ):
        requests = own_requests(params, list(problems.values()))
        backend = model_pool.backend(params.leader.model, params.leader.revision, params.leader.server)
        backend.check(requests)
        own: defaultdict[str, list[Completion]] = defaultdict(list)
        for completion in backend.generate(requests):
            own[completion.problem_id].append(completion)
        built = build_demonstrations(
            sets,
            own,
            max_demonstrations=params.demonstrate.max_demonstrations,
            max_quoted_characters=params.demonstrate.max_quoted_characters,
            solo_share=params.demonstrate.solo_share,
            trust_share=params.demonstrate.trust_share,
            tuples_per_problem=params.demonstrate.tuples_per_problem,
            seed=params.seed,
            share=params.rounds.share,
            equivalent=is_equivalent,
        )
        if not built.rows:
            raise ConfigError(
                f"no demonstration could be built from {len(sets)} problems ({dict(built.rejected)}); raise "
                "demonstrate.leader_samples or propose.samples, or choose prepare.families the models half know"
            )
        counter = source.token_counter(params.leader.model, params.leader.revision)
        statistics = count_demonstrations(built, problems) | {"tokens": count_tokens(built, counter)}
        write_jsonl_atomic(DEMONSTRATIONS, built.rows)
        write_json_atomic(SOLO_ACCURACY, solo_accuracy(problems, own))
        write_json_atomic(DEMONSTRATION_STATISTICS, statistics)
        tracked.log_result({"count": len(built.rows), **_flat(statistics)})
    print(f"{DEMONSTRATIONS}: {len(built.rows)} demonstrations, {dict(statistics['by_kind'])}")


def own_requests(params: Params, problems: Sequence[Problem]) -> list[Request]:
    """The untrained leader alone, with one worked example of several families, its own among them, and no tags."""
    examples: dict[str, Problem] = {}
    for shot in read_jsonl(SHOT_PROBLEMS, Problem):
        examples.setdefault(shot.family, shot)
    sampling = sampling_of(params.demonstrate.sampling)
    return [
        agent_request(problem, _shown(problem, examples), sampling, params.seed, sample=sample)
        for problem in problems
        for sample in range(params.demonstrate.leader_samples)
    ]


def _shown(problem: Problem, examples: Mapping[str, Problem]) -> AgentPrompt:
    """The first families' examples; that of the problem's own takes the last place where it is not among them."""
    shown = list(examples.values())[:MAX_OWN_SHOTS]
    own = examples.get(problem.family)
    if own is not None and own not in shown:
        shown[-1] = own
    return AgentPrompt(LEADER, OWN_SYSTEM, tuple(shown))


def solo_accuracy(problems: Mapping[str, Problem], own: Mapping[str, Sequence[Completion]]) -> dict[str, float]:
    """Problem id -> share of its samples that are right; a problem without a sample has no share."""
    right = {
        problem_id: [
            is_correct(agent_answer(c, problems[problem_id]), problems[problem_id], equivalent=is_equivalent)
            for c in samples
        ]
        for problem_id, samples in own.items()
    }
    return {problem_id: round(sum(flags) / len(flags), 6) for problem_id, flags in right.items()}


def count_tokens(built: Demonstrations, counter: TokenCounter) -> dict[str, dict[str, int]]:
    """Prompt and completion tokens by kind of demonstration, and in all."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in built.rows:
        prompt, completion = counter(row.messages, row.completion)
        for name in (row.kind, "all"):
            counts[name].update(prompt=prompt, completion=completion)
    return {name: dict(count) for name, count in sorted(counts.items())}


def _flat(statistics: dict[str, Any]) -> dict[str, float]:
    kinds = {f"kind.{kind}": count for kind, count in statistics["by_kind"].items()}
    return kinds | {f"tokens.{name}": count for name, count in statistics["tokens"]["all"].items()}

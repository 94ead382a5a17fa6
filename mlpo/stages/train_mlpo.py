"""Stage `train_mlpo`: the leader learns to use its team (problems, proposals, SFT leader -> data/leaders/mlpo)."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any, NamedTuple

from mlpo.config import ConfigError, Params, effective
from mlpo.equivalence import decided, is_equivalent
from mlpo.files import write_json_atomic
from mlpo.inference.model_pool import ModelPool, Models
from mlpo.layout import (
    MLPO_CURVE,
    MLPO_LEADER,
    MLPO_TUPLES,
    ROLLOUTS,
    SFT_LEADER,
    SHOT_PROBLEMS,
    SOLO_ACCURACY,
    TRAIN_PROBLEMS,
    WORK,
    proposals_of,
)
from mlpo.method.agreement import agreed
from mlpo.method.answers import parse_plain
from mlpo.method.prompts import LEADER_SYSTEM
from mlpo.method.rewards import leader_reward
from mlpo.method.selection import ProposalSet, count_by_correct, draw_tuples, easy_filter, failure_weights
from mlpo.method.strategies.hostile_prompts import HostileClaims
from mlpo.models.load import LoadedModel, save_leader
from mlpo.stages.resume import claim_run_folder, load_to_train, run_folder_of
from mlpo.stages.timings import StageClock, stage_clock
from mlpo.store import CompletionStore, read_solo_accuracy, request_key
from mlpo.team.models import team_models
from mlpo.team.prompts import team_prompts
from mlpo.team.proposals import read_proposal_sets
from mlpo.team.refresh_proposals import NextRound
from mlpo.tracking.stage_run import stage_run
from mlpo.training.distributed import Ranks, join_ranks
from mlpo.training.mlpo import train_mlpo
from mlpo.training.prompt_schedule import Teams, TrainingPrompt, num_planned_prompts, plan_prompts
from mlpo.training.rollouts import Roller
from mlpo.training.run_folder import RunFolder
from mlpo.training.run_log import MLPO_COLUMNS, Log, log_nothing, write_curve, write_rollouts
from mlpo.training.vllm_sampler import why_not_vllm
from mlpo.types import Problem, Sampling


class Prepared(NamedTuple):
    """What the leader will be shown, and how it was chosen."""

    plan: list[TrainingPrompt]
    report: dict[str, Any]


def run(params: Params, *, models: Models | None = None) -> None:
    """Filter the problems, draw tuples, plan and train. A stopped run goes on at its last checkpoint.

    Of several processes the first alone asks agents and writes.

    Args:
        models: where agents come from if `rounds_in_training` asks them again.
    Raises:
        ConfigError: proposals or the SFT leader are missing, nothing is left to train on, vLLM is asked for and cannot
            run here, or the unfinished run was another one; nothing is written.
        TrainingStopped: a guard saw that nothing is learned.
    """
    config = params.train_mlpo
    if config.rollout_engine == "vllm" and (problems := [*why_not_vllm(params.runtime)]):
        raise ConfigError("; ".join(problems))
    ranks = join_ranks(params.runtime.device)
    solo_accuracy = read_solo_accuracy(SOLO_ACCURACY) if config.failure_weight else {}
    sets = read_proposal_sets(tuple(params.team), equivalent=is_equivalent)
    prepared = prepare(params, sets, solo_accuracy)
    if not SFT_LEADER.is_dir():
        raise ConfigError(f"{SFT_LEADER}: no leader here; run `mlpo train_sft`, or `dvc repro` for all that is missing")
    if not ranks.is_main:
        _train(params, prepared, _roller(params, None), run_folder_of("train_mlpo"), ranks)
        return
    weighed_by = [SOLO_ACCURACY] if config.failure_weight else []
    inputs = [TRAIN_PROBLEMS, SHOT_PROBLEMS, *map(proposals_of, params.team), *weighed_by, SFT_LEADER]
    rounds: dict[str, Any] = {
        f"rounds.{name}": getattr(params.rounds, name) for name in ("share", "agreement_samples", "tell_certainty")
    }
    if config.rounds_in_training:
        rounds["team"] = {name: effective(agent) for name, agent in params.team.items()}
    run_folder = claim_run_folder("train_mlpo", params, config, inputs, rounds)
    outputs = [MLPO_LEADER, MLPO_CURVE, MLPO_TUPLES, ROLLOUTS]
    with (
        stage_clock("train_mlpo") as clock,
        stage_run("train_mlpo", params, inputs=inputs, outputs=outputs, resume_id=run_folder.run_id) as tracked,
    ):
        run_folder.run_id = tracked.run_id
        with (
            closing(CompletionStore(WORK / "train_mlpo.jsonl")) as store,
            closing(_model_pool(params, models, store, clock)) as model_pool,
        ):
            trained, seconds = _train(params, prepared, _roller(params, model_pool), run_folder, ranks, tracked.log)
        clock.training_seconds += seconds - clock.ledger.model_seconds
        save_leader(trained, MLPO_LEADER, system=LEADER_SYSTEM)
        _write(run_folder, prepared)
        tracked.log_artifact(ROLLOUTS)
        tracked.log_artifact(MLPO_TUPLES)
    run_folder.clear()
    print(f"{MLPO_LEADER}: {config.steps} steps on {len(prepared.plan)} prompts")


def _train(
    params: Params, prepared: Prepared, roller: Roller, run_folder: RunFolder, ranks: Ranks, log: Log = log_nothing
) -> tuple[LoadedModel, float]:
    """What every process does: load the leader and train it. Returns it, and the seconds of training alone."""
    leader, compute_dtype = load_to_train(str(SFT_LEADER), None, params, ranks)
    started = time.perf_counter()
    train_mlpo(
        leader,
        prepared.plan,
        params.train_mlpo,
        roller=roller,
        runtime=params.runtime,
        run_folder=run_folder,
        log=log,
        compute_dtype=compute_dtype,
        ranks=ranks,
    )
    return leader, time.perf_counter() - started


def prepare(params: Params, sets: Sequence[ProposalSet], solo_accuracy: Mapping[str, float] | None = None) -> Prepared:
    """Apply the easy filter, draw tuples and plan all steps.

    Args:
        solo_accuracy: problem id -> the leader's own accuracy; for `failure_weight`.
    Raises:
        ConfigError: the filter leaves no problem, one has no accuracy or no wrong answer that is asked for.
    """
    config = params.train_mlpo
    filtered = easy_filter(sets, threshold=config.easy_threshold, easy_share=config.easy_share, seed=params.seed)
    if not filtered.kept and config.steps:
        raise ConfigError(
            f"train_mlpo: all {filtered.num_problems} problems are easy for this team; raise train_mlpo.easy_threshold "
            f"(now {config.easy_threshold}) or choose harder prepare.families"
        )
    sure = [agreed(kept) for kept in filtered.kept] if params.rounds.agreement_samples > 1 else filtered.kept
    seen = [kept.shown(params.rounds.share) for kept in sure]
    tuples = [draw_tuples(s, config.tuples_per_problem, params.seed) for s in seen]
    problems = [(s.problem, theirs) for s, theirs in zip(seen, tuples, strict=True)]
    plan = plan_prompts(
        problems,
        num_planned_prompts(config),
        seed=params.seed,
        use_team=config.use_team,
        solo_share=config.solo_share,
        refresh_share=config.rounds_in_training,
        teams=_teams(params, sets),
        weights=_weights(params, filtered.kept, solo_accuracy or {}) if config.failure_weight else None,
    )
    report = {
        "problems": {
            "all": filtered.num_problems,
            "hard": filtered.num_hard,
            "easy": filtered.num_easy,
            "easy_kept": filtered.num_easy_kept,
            "kept": len(filtered.kept),
        },
        "tuples_by_number_correct": _texts(count_by_correct(one for theirs in tuples for one in theirs)),
        "prompts": {
            "all": len(plan),
            "solo": sum(not p.proposals for p in plan),
            "refreshed": sum(p.refresh for p in plan),
            "hostile": sum(bool(p.hostile) for p in plan),
            "by_team_size": _texts(Counter(len(p.proposals) for p in plan if p.proposals)),
            "by_number_correct": _texts(Counter(p.num_correct for p in plan if p.num_correct is not None)),
        },
    }
    return Prepared(plan, report)


def _weights(params: Params, kept: Sequence[ProposalSet], solo_accuracy: Mapping[str, float]) -> dict[str, float]:
    unknown = [s.problem.id for s in kept if s.problem.id not in solo_accuracy]
    if unknown:
        raise ConfigError(
            f"{SOLO_ACCURACY}: no accuracy for {len(unknown)} training problems, such as {unknown[0]}; run "
            "`mlpo demonstrate`, with demonstrate.leader_samples of at least 1, or set train_mlpo.failure_weight to 0"
        )
    try:
        return failure_weights(
            {s.problem.id: solo_accuracy[s.problem.id] for s in kept}, params.train_mlpo.failure_weight
        )
    except ValueError as error:
        raise ConfigError(f"train_mlpo.failure_weight: {error}; set it below 1") from None


def _teams(params: Params, sets: Sequence[ProposalSet]) -> Teams:
    config = params.train_mlpo
    claims = HostileClaims((s.problem for s in sets), params.seed) if config.hostile_share else None

    def claim(problem: Problem) -> str:
        try:
            text = claims.of(problem) if claims else ""
        except ValueError as error:
            raise ConfigError(f"train_mlpo.hostile_share: {error}; take more problems, or set it to 0") from None
        if params.rounds.share == "reasoning":
            return text
        return parse_plain(text, problem.answer_kind, problem.choices) or ""

    return Teams(config.team_sizes, config.shuffle_order, config.hostile_share, claim)


def _model_pool(params: Params, models: Models | None, store: CompletionStore, clock: StageClock) -> ModelPool:
    source = models or team_models(params)
    return ModelPool(source, store, request_key, ledger=clock.ledger, max_loaded=params.runtime.max_loaded_models)


def _roller(params: Params, model_pool: ModelPool | None) -> Roller:
    """`model_pool` is None in a process that asks no agents."""
    config = params.train_mlpo
    refresh = None
    if config.rounds_in_training and model_pool is not None:
        backends = {
            n: model_pool.backend(agent.model, agent.revision, agent.server, agent.quantize)
            for n, agent in params.team.items()
        }
        refresh = NextRound(params, team_prompts(params), backends, is_equivalent)
    return Roller(
        group_size=config.group_size,
        sampling=Sampling(config.temperature, 1.0, config.max_completion_tokens),
        seed=params.seed,
        score=partial(leader_reward, equivalent=decided),
        refresh=refresh,
    )


def _write(run_folder: RunFolder, prepared: Prepared) -> None:
    write_curve(run_folder.curve.rows(), MLPO_COLUMNS, MLPO_CURVE)
    write_rollouts(run_folder.rollouts.rows(), ROLLOUTS)
    write_json_atomic(MLPO_TUPLES, prepared.report)


def _texts(counts: dict[int, int]) -> dict[str, int]:
    return {str(number): counts[number] for number in sorted(counts)}

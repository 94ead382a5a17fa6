"""Stage `train_mlpo`: the leader learns to use its team (problems, proposals, SFT leader -> data/leaders/mlpo)."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from typing import Any, NamedTuple

from mlpo.agents.shelf import Models, ModelShelf
from mlpo.config import ConfigError, Params, ServerConfig
from mlpo.grading import is_equivalent
from mlpo.layout import (
    MLPO_CURVE,
    MLPO_LEADER,
    MLPO_TUPLES,
    ROLLOUTS,
    SFT_LEADER,
    SHOT_PROBLEMS,
    TRAIN_PROBLEMS,
    WORK,
    proposals_of,
)
from mlpo.method.rewards import leader_reward
from mlpo.method.selection import ProposalSet, count_by_correct, draw_tuples, easy_filter
from mlpo.models.load import LoadedModel, save_model
from mlpo.stages.clock import StageClock, stage_clock
from mlpo.stages.next_round import NextRound
from mlpo.stages.proposals import read_proposal_sets
from mlpo.stages.team import team_prompts
from mlpo.stages.team_models import team_models
from mlpo.stages.unfinished import claim_workspace, load_to_train, workspace_of
from mlpo.store import CompletionStore, request_key, write_json_atomic
from mlpo.tracking.runs import stage_run
from mlpo.training.engine import why_not_vllm
from mlpo.training.journal import MLPO_COLUMNS, Log, log_nothing, write_curve, write_rollouts
from mlpo.training.mlpo import train_mlpo
from mlpo.training.plan import TrainingPrompt, num_planned_prompts, plan_prompts
from mlpo.training.ranks import Ranks, join_ranks
from mlpo.training.rollouts import Roller
from mlpo.training.workspace import Workspace
from mlpo.types import Sampling


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
    prepared = prepare(params, read_proposal_sets(tuple(params.team), equivalent=is_equivalent))
    if not SFT_LEADER.is_dir():
        raise ConfigError(f"{SFT_LEADER}: no leader here; run `mlpo train_sft`, or `dvc repro` for all that is missing")
    if not ranks.is_main:
        _train(params, prepared, _roller(params, None), workspace_of("train_mlpo"), ranks)
        return
    inputs = [TRAIN_PROBLEMS, SHOT_PROBLEMS, *map(proposals_of, params.team), SFT_LEADER]
    rounds = {"rounds.share": params.rounds.share}
    if config.rounds_in_training:
        rounds["team"] = {
            name: agent.model_dump(mode="json", exclude={"server": set(ServerConfig.WITHOUT_EFFECT)})
            for name, agent in params.team.items()
        }  # type: ignore[assignment]
    workspace = claim_workspace("train_mlpo", params, config, inputs, rounds)
    outputs = [MLPO_LEADER, MLPO_CURVE, MLPO_TUPLES, ROLLOUTS]
    with (
        stage_clock("train_mlpo") as clock,
        stage_run("train_mlpo", params, inputs=inputs, outputs=outputs, resume_id=workspace.run_id) as tracked,
    ):
        workspace.run_id = tracked.run_id
        with (
            closing(CompletionStore(WORK / "train_mlpo.jsonl")) as store,
            closing(_shelf(params, models, store, clock)) as shelf,
        ):
            trained, seconds = _train(params, prepared, _roller(params, shelf), workspace, ranks, tracked.log)
        clock.training_seconds += seconds - clock.ledger.model_seconds
        save_model(trained.model, trained.tokenizer, MLPO_LEADER)
        _write(workspace, prepared)
        tracked.log_artifact(ROLLOUTS)
        tracked.log_artifact(MLPO_TUPLES)
    workspace.clear()
    print(f"{MLPO_LEADER}: {config.steps} steps on {len(prepared.plan)} prompts")


def _train(
    params: Params, prepared: Prepared, roller: Roller, workspace: Workspace, ranks: Ranks, log: Log = log_nothing
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
        workspace=workspace,
        log=log,
        compute_dtype=compute_dtype,
        ranks=ranks,
    )
    return leader, time.perf_counter() - started


def prepare(params: Params, sets: Sequence[ProposalSet]) -> Prepared:
    """Apply the easy filter, draw tuples and plan all steps.

    Raises:
        ConfigError: the filter leaves no problem.
    """
    config = params.train_mlpo
    filtered = easy_filter(sets, threshold=config.easy_threshold, easy_share=config.easy_share, seed=params.seed)
    if not filtered.kept and config.steps:
        raise ConfigError(
            f"train_mlpo: all {filtered.num_problems} problems are easy for this team; raise train_mlpo.easy_threshold "
            f"(now {config.easy_threshold}) or choose harder prepare.families"
        )
    seen = [kept.shown(params.rounds.share) for kept in filtered.kept]
    tuples = [draw_tuples(s, config.tuples_per_problem, params.seed) for s in seen]
    problems = [(s.problem, theirs) for s, theirs in zip(seen, tuples, strict=True)]
    plan = plan_prompts(
        problems,
        num_planned_prompts(config),
        seed=params.seed,
        use_team=config.use_team,
        solo_share=config.solo_share,
        refresh_share=config.rounds_in_training,
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
            "by_number_correct": _texts(Counter(p.num_correct for p in plan if p.num_correct is not None)),
        },
    }
    return Prepared(plan, report)


def _shelf(params: Params, models: Models | None, store: CompletionStore, clock: StageClock) -> ModelShelf:
    source = models or team_models(params)
    return ModelShelf(source, store, request_key, ledger=clock.ledger, max_loaded=params.runtime.max_loaded_models)


def _roller(params: Params, shelf: ModelShelf | None) -> Roller:
    """`shelf` is None in a process that asks no agents."""
    config = params.train_mlpo
    refresh = None
    if config.rounds_in_training and shelf is not None:
        backends = {
            n: shelf.backend(agent.model, agent.revision, agent.server, agent.quantize)
            for n, agent in params.team.items()
        }
        refresh = NextRound(params, team_prompts(params), backends, is_equivalent)
    return Roller(
        group_size=config.group_size,
        sampling=Sampling(config.temperature, 1.0, config.max_completion_tokens),
        seed=params.seed,
        score=partial(leader_reward, equivalent=is_equivalent),
        refresh=refresh,
    )


def _write(workspace: Workspace, prepared: Prepared) -> None:
    write_curve(workspace.curve.rows(), MLPO_COLUMNS, MLPO_CURVE)
    write_rollouts(workspace.rollouts.rows(), ROLLOUTS)
    write_json_atomic(MLPO_TUPLES, prepared.report)


def _texts(counts: dict[int, int]) -> dict[str, int]:
    return {str(number): counts[number] for number in sorted(counts)}

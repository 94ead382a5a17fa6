"""`mlpo evaluate --leader`: a registered leader and its own team on this checkout's test problems (-> its version)."""

from __future__ import annotations

from collections import ChainMap
from contextlib import closing

from mlpo.config import ConfigError, Params
from mlpo.equivalence import is_equivalent
from mlpo.evaluation.registered_leader import RegisteredLeader, read_registered
from mlpo.evaluation.rivals import leader_generations
from mlpo.inference.model_pool import ModelPool, Models
from mlpo.inference.usage import GenerationLedger
from mlpo.layout import PROBLEMS, TEST_PROBLEMS, WORK, proposals_of
from mlpo.method.metrics.evaluation import grade, strategy_metrics
from mlpo.stages.progress import progress
from mlpo.store import CompletionStore, read_jsonl, read_kept, request_key
from mlpo.team.models import team_models
from mlpo.tracking.connect import connect
from mlpo.tracking.evaluations import add_evaluation
from mlpo.tracking.gate import Evaluation
from mlpo.tracking.registry import get_version, version_folder
from mlpo.tracking.stage_run import stage_run
from mlpo.types import Completion, Problem, Transcript


def run(params: Params, version: int, *, models: Models | None = None) -> None:
    """Play it, let its version carry the evaluation, and print it; a challenger can then be compared with it here.

    Its team, rounds and prompts are those it was registered with. Of `params` only runtime and evaluate count.

    Raises:
        ConfigError: there is no such version, its team is not known, or test problems are missing.
    """
    connection = connect()
    get_version(connection, version)
    leader = read_registered(version_folder(connection, version), params.runtime)
    problems = sorted(read_jsonl(TEST_PROBLEMS, Problem), key=lambda p: p.id)
    if not problems:
        raise ConfigError(f"{TEST_PROBLEMS}: no problems; raise prepare.num_test")
    with stage_run("evaluate_leader", params, inputs=[PROBLEMS]) as tracked:
        transcripts = _played(leader, problems, params, models or team_models(leader.params))
        graded = [grade(t, p, equivalent=is_equivalent) for t, p in zip(transcripts, problems, strict=True)]
        row = strategy_metrics(graded, confidence=params.evaluate.confidence)
        evaluation = Evaluation.of({g.problem.id: g.correct for g in graded}, row)
        tracked.tag({"leader.version": version, "leader.evaluation_problems": evaluation.problems})
        tracked.log({f"leader.{name}": row[name] for name in ("accuracy", "invalid_rate", "generations")})
        add_evaluation(version, evaluation)
    low, high = row["interval"]
    accuracy = f"{row['accuracy']:.3f} [{low:.3f}, {high:.3f}] on {row['n']} problems"
    print(f"version {version} on evaluation set {evaluation.problems}: {accuracy}, {evaluation.tokens:.0f} tokens each")


def _played(leader: RegisteredLeader, problems: list[Problem], params: Params, models: Models) -> list[Transcript]:
    """Its transcripts; what this checkout's proposals and evaluation already hold is not asked again."""
    proposals: dict[str, Completion] = {}
    for agent in leader.params.team:
        if proposals_of(agent).is_file():
            proposals.update(read_kept(proposals_of(agent)))
    total = len(problems) * leader_generations(leader.params)
    with (
        progress("evaluate", total, unit="completions") as advance,
        closing(CompletionStore(WORK / "evaluation.jsonl")) as store,
        closing(
            ModelPool(
                models,
                ChainMap(store, proposals),
                request_key,
                ledger=GenerationLedger(),
                max_loaded=params.runtime.max_loaded_models,
                max_dead=params.evaluate.max_dead_agents,
                on_done=advance,
            )
        ) as model_pool,
    ):
        return leader.play(problems, model_pool)

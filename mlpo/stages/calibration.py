"""One leader's strategies on the calibration problems: where everything is chosen, and nothing is trained or tested."""

from __future__ import annotations

from collections import ChainMap
from contextlib import closing
from pathlib import Path

from mlpo.config import ConfigError, Params
from mlpo.equivalence import is_equivalent
from mlpo.evaluation.contest import Contest, Entrant
from mlpo.evaluation.transcripts import first_proposals, transcripts
from mlpo.inference.model_pool import ModelPool, Models
from mlpo.layout import CALIBRATION_PROBLEMS, WORK
from mlpo.method.metrics.evaluation import Graded, grade
from mlpo.stages.progress import progress
from mlpo.stages.timings import StageClock
from mlpo.store import CompletionStore, read_jsonl, request_key
from mlpo.team.models import team_models
from mlpo.types import Problem


def calibration_problems() -> tuple[Problem, ...]:
    """The calibration problems by id; none where `prepare.num_calibration` is 0.

    Raises:
        ConfigError: the file is missing.
    """
    return tuple(sorted(read_jsonl(CALIBRATION_PROBLEMS, Problem), key=lambda p: p.id))


def check_leader(leader: Path, stage: str) -> None:
    """Refuse before anything runs.

    Raises:
        ConfigError: the leader is not there.
    """
    if not leader.is_dir():
        raise ConfigError(f"{leader}: no leader here; run `mlpo {stage}`, or `dvc repro` for all that is missing")


def play_on_calibration(
    params: Params, leader: Path, name: str, entrant: Entrant, clock: StageClock, models: Models | None
) -> list[Graded]:
    """Play a trained leader's strategy on every calibration problem; what is asked is kept in .mlpo/calibration.jsonl.

    Raises:
        ConfigError: problems or proposals are missing; the message says which stage makes them.
    """
    problems = calibration_problems()
    contest = Contest(str(leader), None, {name: entrant})
    total = len(problems) * contest.generations
    with (
        closing(CompletionStore(WORK / "calibration.jsonl")) as store,
        progress("calibration", total, unit="completions") as advance,
    ):
        model_pool = ModelPool(
            models or team_models(params),
            ChainMap(store, first_proposals(params, problems)),
            request_key,
            ledger=clock.ledger,
            max_loaded=params.runtime.max_loaded_models,
            on_done=advance,
        )
        with closing(model_pool):
            played = transcripts(contest, problems, model_pool, params)[name]
    return [grade(t, problem, equivalent=is_equivalent) for t, problem in zip(played, problems, strict=True)]

"""A contest on some problems: one leader's strategies in lockstep, with what the team proposed before."""

from __future__ import annotations

from collections.abc import Sequence

from mlpo.config import Params
from mlpo.evaluation.contest import Contest
from mlpo.inference.model_pool import ModelPool
from mlpo.inference.runner import stream_strategies
from mlpo.layout import proposals_of
from mlpo.store import read_kept
from mlpo.types import LEADER, Completion, Problem, Transcript


def first_proposals(params: Params, problems: Sequence[Problem]) -> dict[str, Completion]:
    """Content key -> completion: what the team proposed for these problems before any leader was asked."""
    wanted = {problem.id for problem in problems}
    rows = (row for agent in params.team for row in read_kept(proposals_of(agent)))
    return {key: completion for key, completion in rows if completion.problem_id in wanted}


def transcripts(
    contest: Contest, problems: Sequence[Problem], model_pool: ModelPool, params: Params
) -> dict[str, list[Transcript]]:
    """Each strategy's transcripts of the problems, in their order."""
    backends = {n: model_pool.backend(a.model, a.revision, a.server, a.quantize) for n, a in params.team.items()}
    if contest.model is not None:
        backends[LEADER] = model_pool.backend(contest.model, contest.revision, params.leader.server)
    runs = (entrant.strategy(problem) for problem in problems for entrant in contest.entrants.values())
    played: dict[str, list[Transcript]] = {name: [] for name in contest.entrants}
    for transcript in stream_strategies(runs, backends):
        played[transcript.strategy].append(transcript)
    return played

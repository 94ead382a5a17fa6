"""Where strategies are played: the test problems, the team's first proposals, and leader after leader in lockstep."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from mlpo.config import ConfigError, Params
from mlpo.equivalence import is_equivalent
from mlpo.evaluation.contest import Contest, Entrant
from mlpo.evaluation.policy import read_policy
from mlpo.evaluation.rivals import rivals_at_equal_tokens
from mlpo.evaluation.routing import read_routing
from mlpo.evaluation.strategies import CONSULT, contests, measured_entrant
from mlpo.evaluation.transcripts import first_proposals, transcripts
from mlpo.inference.model_pool import ModelPool, Models
from mlpo.inference.usage import GenerationLedger
from mlpo.layout import METRICS, MLPO_LEADER, SFT_LEADER, TEST_PROBLEMS, TRANSCRIPTS, WORK, transcripts_of
from mlpo.method.metrics.evaluation import Graded, grade
from mlpo.method.selection import best_agent
from mlpo.method.strategies.baselines import ORACLE, oracle_any
from mlpo.store import CompletionStore, read_jsonl, request_key, write_jsonl_atomic
from mlpo.team.prompts import team_prompts
from mlpo.team.proposals import read_proposal_sets
from mlpo.types import LEADER, Completion, Problem, Transcript


@dataclass(frozen=True, slots=True)
class Arena:
    """What is played, on what."""

    problems: tuple[Problem, ...]
    """Test problems, by id."""
    plan: tuple[Contest, ...]
    round_0: dict[str, Completion]
    """The team's first proposals for the test problems, by content key."""
    best_single: str
    """The agent that was best on training problems."""
    at_equal_tokens: Callable[[Mapping[str, int]], Contest]
    """Tokens that the leader spent, by problem -> what is played last, at as many."""
    measured: Entrant | None = None
    """The trained leader that asks one agent after another and is never sure: on it any threshold can be replayed."""

    @property
    def generations(self) -> dict[str, int]:
        """Strategy -> completions per problem, if nothing stops early; those at equal tokens are left out."""
        return {name: entrant.generations for contest in self.plan for name, entrant in contest.entrants.items()}

    @property
    def num_completions(self) -> int:
        """How many completions all takes, if nothing stops early and equal tokens buy equal generations."""
        last = self.at_equal_tokens({})
        measured = self.measured.generations if self.measured else 0
        return len(self.problems) * (sum(contest.generations for contest in (*self.plan, last)) + measured)


class Played(NamedTuple):
    """What came out."""

    graded: dict[str, list[Graded]]
    """Strategy -> its transcripts, graded, without texts."""
    dead: dict[str, str]
    """Agents whose server stayed dead -> why."""
    measured: Sequence[Graded] = ()
    """All answers of a leader that asks one agent after another; no strategy's result."""


def read_arena(params: Params) -> Arena:
    """Read everything that playing needs, before anything runs.

    Raises:
        ConfigError: problems, proposals or a leader are missing; the message says which stage makes them.
    """
    problems = tuple(sorted(read_jsonl(TEST_PROBLEMS, Problem), key=lambda p: p.id))
    if not problems:
        raise ConfigError(f"{TEST_PROBLEMS}: no problems; raise prepare.num_test")
    for folder, stage in ((SFT_LEADER, "train_sft"), (MLPO_LEADER, "train_mlpo")):
        if not folder.is_dir():
            raise ConfigError(f"{folder}: no leader here; run `mlpo {stage}`, or `dvc repro` for all that is missing")
    sets = read_proposal_sets(tuple(params.team), equivalent=is_equivalent)
    team, routing = team_prompts(params), read_routing(params)
    last = partial(rivals_at_equal_tokens, params, team, sets)
    plan = tuple(contests(params, team, sets, routing, read_policy(params)))
    measured = measured_entrant(params, team) if params.consult.one_by_one else None
    return Arena(problems, plan, first_proposals(params, problems), best_agent(sets), last, measured)


def play(
    params: Params,
    arena: Arena,
    models: Models,
    *,
    ledger: GenerationLedger,
    on_done: Callable[[int], None] | None = None,
) -> Played:
    """Play every strategy, write its transcripts to data/evaluation and return what the metrics need, without texts.

    Transcripts and metrics of an evaluation before go first: until this one has ended, nothing passes for its result.
    Round 0 of the agents is read from data/proposals. Everything else is kept in .mlpo/evaluation.jsonl under the
    identity of the weights, so a stopped run goes on and a changed leader pays only for itself.

    Raises:
        DeadModelError: the leader's server stays dead, or those of more agents than `evaluate.max_dead_agents`.
    """
    graded: dict[str, list[Graded]] = {}
    measured: Sequence[Graded] = ()
    for stale in (METRICS, *TRANSCRIPTS.glob("*.jsonl")):  # of other strategies, problems or leaders
        stale.unlink(missing_ok=True)
    with closing(CompletionStore(WORK / "evaluation.jsonl")) as store:
        model_pool = ModelPool(
            models,
            ChainMap(store, arena.round_0),
            request_key,
            ledger=ledger,
            max_loaded=params.runtime.max_loaded_models,
            max_dead=params.evaluate.max_dead_agents,
            on_done=on_done,
        )
        with closing(model_pool):
            for contest in arena.plan:
                graded |= _play_contest(contest, arena.problems, model_pool, params)
                if arena.measured and LEADER in contest.entrants:
                    alone = replace(contest, entrants={CONSULT: arena.measured})
                    [played] = transcripts(alone, arena.problems, model_pool, params).values()
                    measured = _graded(played, arena.problems)
            last = arena.at_equal_tokens(_tokens(graded[LEADER]))
            graded |= _play_contest(last, arena.problems, model_pool, params) if last.entrants else {}
    return Played(graded, model_pool.dead, measured)


def _tokens(graded: Sequence[Graded]) -> dict[str, int]:
    """What a strategy spent, by problem: prompts and completions."""
    return {g.problem.id: sum(c.tokens for c in g.transcript.completions) for g in graded}


def _play_contest(
    contest: Contest, problems: Sequence[Problem], model_pool: ModelPool, params: Params
) -> dict[str, list[Graded]]:
    """Run one leader's strategies together, so that what they ask goes out in large batches."""
    played = transcripts(contest, problems, model_pool, params)
    if "majority_vote" in played:
        votes = zip(played["majority_vote"], problems, strict=True)
        played[ORACLE] = [oracle_any(vote, problem, equivalent=is_equivalent) for vote, problem in votes]
    graded: dict[str, list[Graded]] = {}
    for name, theirs in played.items():
        write_jsonl_atomic(transcripts_of(name), theirs)
        graded[name] = _graded(theirs, problems)
    return graded


def _graded(played: Sequence[Transcript], problems: Sequence[Problem]) -> list[Graded]:
    pairs = zip(played, problems, strict=True)
    return [_without_texts(grade(t, p, equivalent=is_equivalent)) for t, p in pairs]


def _without_texts(graded: Graded) -> Graded:
    """Metrics count tokens and flags; the texts are on the disk, and those of thousands of problems are large."""
    transcript = graded.transcript

    def bare(completion: Completion) -> Completion:
        return replace(completion, text="")

    rounds = tuple(
        replace(r, proposals=tuple(map(bare, r.proposals)), draft=bare(r.draft) if r.draft else None)
        for r in transcript.rounds
    )
    return replace(graded, transcript=replace(transcript, rounds=rounds, extra=tuple(map(bare, transcript.extra))))

"""Stage `register`: the evaluated leader becomes a version in the registry (leader, evaluation -> data/registry)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from mlpo.config import ConfigError, Params, digest
from mlpo.equivalence import is_equivalent
from mlpo.evaluation.metrics_file import read_metrics
from mlpo.evaluation.policy import read_policy
from mlpo.evaluation.strategies import served_strategy
from mlpo.files import write_json_atomic
from mlpo.layout import (
    CONSULT_POLICY,
    METRICS,
    MLPO_LEADER,
    PROBLEM_STATISTICS,
    PROBLEMS,
    REGISTERED,
    TEST_PROBLEMS,
    passages_of,
    proposals_of,
    transcripts_of,
)
from mlpo.method.metrics.evaluation import Graded, grade
from mlpo.method.prompts import agent_messages, leader_messages, solo_messages
from mlpo.models.identity import model_identity, weights_digest
from mlpo.report import readme_table
from mlpo.stages.timings import stage_clock
from mlpo.store import read_jsonl
from mlpo.team.prompts import team_prompts
from mlpo.tracking.candidate import Candidate
from mlpo.tracking.gate import Evaluation
from mlpo.tracking.register import Registration, register_leader
from mlpo.tracking.registry import champion_of
from mlpo.tracking.stage_run import stage_run
from mlpo.types import LEADER, Completion, Message, Problem, Transcript

LEADER_MODEL = Path(__file__).with_name("leader_model.py")
"""What MLflow runs to answer with the leader's team."""


def run(params: Params) -> None:
    """Register the leader with what it came from, let the gate decide, and print both.

    data/registry/leader.json holds what identifies the leader. Its version number is the registry's alone: two
    checkouts that made the same leader may count differently.

    Raises:
        ConfigError: the leader, its evaluation, the problems or an agent's proposals are missing; nothing is written.
    """
    candidate = _candidate(params)
    inputs = (PROBLEMS, *map(proposals_of, params.team))
    with stage_clock("register"), stage_run("register", params, inputs=[MLPO_LEADER, METRICS, *inputs]) as tracked:
        registration = register_leader(tracked, candidate, inputs=inputs, code=LEADER_MODEL)
        write_json_atomic(REGISTERED, candidate.identity)
        champion = champion_of(tracked.connection)
    print(announcement(registration, champion))


def announcement(registration: Registration, champion: int | None) -> str:
    """The version and its decision, in a line each; a leader registered before may have lost the lead since."""
    version, decision = registration.version, registration.decision
    known = "" if registration.new else " (registered before)"
    state = "challenger"
    if version == champion:
        state = "champion"
    elif decision.promoted:
        state = f"promoted at the time, and version {champion} is champion now"
    return f"leader version {version}{known}\n{state}: {decision.reason}"


def _candidate(params: Params) -> Candidate:
    strategy = served_strategy(params)
    graded, with_team = _graded(strategy, params.team), _graded(LEADER, params.team)
    metrics = read_metrics()
    problem, shown = with_team[0].problem, with_team[0].transcript.rounds[-1].proposals
    return Candidate(
        folder=MLPO_LEADER,
        weights=weights_digest(MLPO_LEADER),
        base_model=model_identity(params.leader.model, params.leader.revision),
        prompts=prompts_digest(params),
        params=params,
        evaluation=Evaluation.of({g.problem.id: g.correct for g in graded}, metrics["strategies"][strategy]),
        metrics=metrics,
        table=readme_table(metrics, confidence=metrics["confidence"]),
        team=team_prompts(params),
        example=leader_messages(problem, shown),
        solo_example=solo_messages(problem),
        data=json.loads(PROBLEM_STATISTICS.read_text(encoding="utf-8")),
        references={name: passages_of(name) for name, agent in params.team.items() if agent.reference},
        policy=CONSULT_POLICY if read_policy(params) else None,
        strategy=strategy,
    )


def _graded(strategy: str, agents: Iterable[str]) -> list[Graded]:
    """A strategy's transcripts, graded, by problem id; only if all else is there that its registration reads."""
    transcripts = transcripts_of(strategy)
    for path, stage in (
        (MLPO_LEADER, "train_mlpo"),
        (TEST_PROBLEMS, "prepare"),
        (PROBLEM_STATISTICS, "prepare"),
        (METRICS, "evaluate"),
        (transcripts, "evaluate"),
        *((proposals_of(agent), f"propose {agent}") for agent in agents),
    ):
        if not path.exists():
            raise ConfigError(f"{path}: missing; run `mlpo {stage}`, or `dvc repro` for all that is missing")
    problems = {problem.id: problem for problem in read_jsonl(TEST_PROBLEMS, Problem)}
    found = sorted(read_jsonl(transcripts, Transcript), key=lambda t: t.problem_id)
    if {t.problem_id for t in found} != problems.keys():
        raise ConfigError(f"{transcripts} and {TEST_PROBLEMS} hold different problems; run `mlpo evaluate` again")
    return [grade(t, problems[t.problem_id], equivalent=is_equivalent) for t in found]


def prompts_digest(params: Params) -> str:
    """What the prompts are, worked examples and wording: the digest of every kind of prompt for one fixed problem."""
    probe = Problem("probe", "probe", "probe", "What is asked?", "this", "word")
    team = team_prompts(params)
    samples = params.rounds.agreement_samples
    sure = (1, samples) if samples > 1 else None
    doubt = 0.1 if params.rounds.tell_certainty else None
    said = [Completion("probe", agent.name, "this", "stop", 0, 0, agreement=sure, entropy=doubt) for agent in team]
    prompts: list[tuple[Message, ...]] = [leader_messages(probe, said), solo_messages(probe)]
    prompts += [agent_messages(agent, probe, previous="that", draft="this") for agent in team]
    return digest([[asdict(message) for message in prompt] for prompt in prompts])

"""The policy by which the trained leader asks: its file, what is wrong with it, and the strategy that follows it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlpo.config import ConfigError, Params, parse_params
from mlpo.evaluation.play import play, read_arena
from mlpo.evaluation.policy import read_policy, write_policy
from mlpo.evaluation.routing import write_routing
from mlpo.evaluation.strategies import consult_strategy, measuring_strategy, strategy_names, team_strategy
from mlpo.inference.runner import run_strategies
from mlpo.inference.scripted import ScriptedBackend, ScriptedModels
from mlpo.inference.usage import GenerationLedger
from mlpo.layout import CONSULT_POLICY, MLPO_LEADER, SFT_LEADER, TEST_PROBLEMS, TRANSCRIPTS, transcripts_of
from mlpo.method.confidence import ConfidenceMap
from mlpo.method.consult_policy import ConsultPolicy
from mlpo.method.consult_replay import measured
from mlpo.method.metrics.evaluation import grade
from mlpo.method.prompts import leader_text
from mlpo.method.routing import UNROUTED
from mlpo.stages.evaluate import metrics_of
from mlpo.store import read_jsonl
from mlpo.team.prompts import team_prompts
from mlpo.types import LEADER, Completion, Problem, Request
from tests.checkout import copy_proposals, proposed

LINE = ConfidenceMap(((0.0, 1.0), (1.0, 0.0)))
POLICY = ConsultPolicy("entropy", LINE, LINE, LINE, ask_below=0.5, again_below=0.5, basis={"n": 120})
SELECTIVE: dict[str, Any] = {"consult": {"when": "unsure"}, "rounds": {"continue": "while_unsure"}}


def reply(request: Request) -> Completion:
    """The adder adds, the guesser says 11; the lone leader is sure of 10 + 1 alone, and of what the adder says."""
    question = request.messages[-1].content
    number = int(re.findall(r"(\d+) \+ 1\?", question)[-1])
    text = {"adder": str(number + 1), "guesser": "11"}.get(request.model, "")
    doubt = {"adder": 0.2}.get(request.model, 0.9)
    if request.model == LEADER:
        text = leader_text("hm", str(number + 1) if "adder" in question else "11")
        doubt = 0.2 if "adder" in question or number == 10 else 0.9
    told = doubt if request.sampling.entropy else None
    words = [len(m.content.split()) for m in request.messages]
    return Completion(request.problem_id, request.model, text, "stop", sum(words), 1, request.sample, entropy=told)


@pytest.fixture(scope="module")
def with_proposals(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Path:
    return proposed(tmp_path_factory.mktemp("proposed"), empty_database, lambda request: reply(request).text)


@pytest.fixture
def ready(house: Path, with_proposals: Path, raw_params: dict[str, Any]) -> Params:
    copy_proposals(with_proposals, house)
    for folder in (SFT_LEADER, MLPO_LEADER):
        folder.mkdir(parents=True)
    write_routing(UNROUTED)
    return parse_params(raw_params | SELECTIVE)


def test_a_policy_is_read_as_it_was_written(house: Path, ready: Params) -> None:
    write_policy(POLICY)
    assert read_policy(ready) == POLICY


@pytest.mark.parametrize(
    ("consult", "rounds", "needed"),
    [
        ({}, {}, False),
        ({"when": "never"}, {"continue": "while_unsure"}, False),
        ({"when": "unsure"}, {}, True),
        ({}, {"continue": "while_unsure"}, True),
    ],
)
def test_a_policy_is_needed_only_where_somebody_may_be_unsure(
    house: Path, raw_params: dict[str, Any], consult: dict[str, Any], rounds: dict[str, Any], needed: bool
) -> None:
    params = parse_params(raw_params | {"consult": consult, "rounds": rounds})
    assert params.is_selective == needed == ("leader_consult" in strategy_names(params))
    if needed:
        with pytest.raises(ConfigError, match=r"consult.json: missing, so nobody knows when the leader is unsure"):
            read_policy(params)
    else:
        assert read_policy(params) is None


def test_what_is_no_policy_of_these_parameters_is_refused(ready: Params, raw_params: dict[str, Any]) -> None:
    CONSULT_POLICY.write_text(json.dumps(POLICY.to_json() | {"signal": "mood"}))
    with pytest.raises(ConfigError, match=r"consult.json: signal 'mood' is neither .*; delete it and calibrate again"):
        read_policy(ready)
    CONSULT_POLICY.write_text("{")
    with pytest.raises(ConfigError, match="delete it and calibrate again"):
        read_policy(ready)
    write_policy(POLICY)
    sampled = parse_params(raw_params | {"consult": {"when": "unsure", "samples": 3}})
    with pytest.raises(ConfigError, match=r"with 0 further samples, consult.samples is 3; calibrate again"):
        read_policy(sampled)


def test_evaluate_plays_the_leader_that_asks_when_unsure_and_pays_next_to_nothing_for_it(
    ready: Params, raw_params: dict[str, Any]
) -> None:
    write_policy(POLICY)
    models = ScriptedModels(reply)
    graded = play(ready, read_arena(ready), models, ledger=GenerationLedger()).graded
    rows = {g.problem.question: g.transcript for g in graded["leader_consult"]}
    # 10 + 1 is answered alone; the others ask the 2 agents once, and the draft is sure: 1 + 3 generations
    assert {q: len(t.completions) for q, t in rows.items()} == {"10 + 1?": 1, "11 + 1?": 4, "12 + 1?": 4, "13 + 1?": 4}
    assert all(g.correct for g in graded["leader_consult"])
    assert sum(g.correct for g in graded["leader_solo"]) == 1
    asked = models.backend.num_generations
    without = ScriptedModels(reply)
    plain = parse_params(raw_params)
    for store in Path(".mlpo").glob("evaluation*"):
        store.unlink()
    play(plain, read_arena(plain), without, ledger=GenerationLedger())
    assert without.backend.num_generations == asked


def test_evaluate_tells_what_asking_would_give_whether_it_is_played_or_not(
    ready: Params, raw_params: dict[str, Any]
) -> None:
    plain = parse_params(raw_params)
    for policy, told in ((None, False), (POLICY, True)):
        write_policy(policy)
        arena = read_arena(plain)
        graded = play(plain, arena, ScriptedModels(reply), ledger=GenerationLedger()).graded
        consult = metrics_of(plain, arena, graded)["consult"]
        assert bool(consult) == told
    # of 4 problems 3 ask; alone 1 generation, a round 3
    assert (consult["chosen"]["share_asked"], consult["chosen"]["generations"]) == (0.75, 1 + 0.75 * 3)
    assert {name: row["accuracy"] for name, row in consult["fixed"].items()} == {
        "alone": 0.25, "rounds_1": 1.0, "rounds_2": 1.0,
    }  # fmt: skip


def one_by_one(raw_params: dict[str, Any]) -> Params:
    consult = {"when": "unsure", "one_by_one": True}
    return parse_params(raw_params | {"consult": consult, "rounds": {"num_rounds": 1, "tell_certainty": True}})


def test_a_policy_is_followed_by_who_asks_as_it_was_measured(ready: Params, raw_params: dict[str, Any]) -> None:
    write_policy(POLICY)
    with pytest.raises(ConfigError, match=r"agents asked together, consult.one_by_one is true; calibrate again"):
        read_policy(one_by_one(raw_params))
    write_policy(replace(POLICY, partial=(LINE,)))
    with pytest.raises(ConfigError, match=r"agents asked one by one, consult.one_by_one is false; calibrate again"):
        read_policy(ready)
    assert read_policy(one_by_one(raw_params)) == replace(POLICY, partial=(LINE,))


def test_evaluate_plays_and_replays_a_leader_that_asks_one_agent_after_another(
    ready: Params, raw_params: dict[str, Any]
) -> None:
    params = one_by_one(raw_params)
    write_policy(replace(POLICY, partial=(LINE,)))
    arena = read_arena(params)
    done: list[int] = []
    played = play(params, arena, ScriptedModels(reply), ledger=GenerationLedger(), on_done=done.append)
    rows = {g.problem.question: g.transcript for g in played.graded["leader_consult"]}
    # 10 + 1 is answered alone; the others end with the adder, whether it is asked first or second
    asked = {q: [c.model for r in t.rounds for c in r.proposals] for q, t in rows.items()}
    assert asked.pop("10 + 1?") == []
    assert {tuple(names) for names in asked.values()} == {("adder",), ("adder", "guesser")}
    assert all(g.correct for g in played.graded["leader_consult"])
    assert sum(done) == arena.num_completions - sum(4 - len(t.completions) for t in rows.values())
    written = {path.stem for path in TRANSCRIPTS.glob("*.jsonl")}
    assert written == {transcripts_of(name).stem for name in played.graded}  # what is measured on is no result
    consult = metrics_of(params, arena, played.graded, played.measured)["consult"]
    spent = sum(len(t.completions) for t in rows.values()) / len(rows)
    assert (consult["chosen"]["accuracy"], consult["chosen"]["generations"]) == (1.0, spent)
    # what is always played is as before: 2 agents and a draft
    assert consult["fixed"]["rounds_1"]["generations"] == 3
    assert [row["n"] for row in consult["confidence"].values()] == [4, 4, 4]
    assert list(consult["confidence"]) == ["alone", "1 agent", "first"]
    assert consult["curves"]["one_round"][-1]["generations"] == 1 + 2 + 1  # both agents and one draft


def test_the_measuring_run_answers_alone_and_in_all_rounds(ready: Params) -> None:
    problems = sorted(read_jsonl(TEST_PROBLEMS, Problem), key=lambda p: p.id)
    play_all = measuring_strategy(ready, team_prompts(ready))
    transcripts = run_strategies(map(play_all, problems), _Everywhere())
    trails = [measured(grade(t, p)) for t, p in zip(transcripts, problems, strict=True)]
    assert [[m.signal for m in trail] for trail in trails] == [[0.2] * 3, *[[0.9, 0.2, 0.2]] * 3]
    assert [[m.correct for m in trail] for trail in trails] == [[True] * 3, *[[False, True, True]] * 3]


@pytest.mark.parametrize("samples", [1, 2])
def test_without_a_choice_the_strategy_is_the_leaders_rounds(
    house: Path, raw_params: dict[str, Any], samples: int
) -> None:
    params = parse_params(raw_params | {"rounds": {"agreement_samples": samples, "early_stop": True}})
    team = team_prompts(params)
    problems = list(read_jsonl(TEST_PROBLEMS, Problem))
    mine = consult_strategy(params, team, None, name=LEADER, num_rounds=3, seed=5)
    theirs = team_strategy(params, team)
    expected = run_strategies((theirs(p, num_rounds=3, seed=5) for p in problems), _Everywhere())
    assert run_strategies(map(mine, problems), _Everywhere()) == expected


class _Everywhere(dict[str, ScriptedBackend]):
    """The scripted backend, whoever is asked."""

    def __init__(self) -> None:
        backend = ScriptedBackend(reply)
        super().__init__(adder=backend, guesser=backend, leader=backend)

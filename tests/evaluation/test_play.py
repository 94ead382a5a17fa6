"""The arena: round 0 is free, equal work is paid for once, a stopped run goes on, everybody has a fair chance."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from mlpo.config import RIVALS, ConfigError, Params, parse_params
from mlpo.evaluation.play import play, read_arena
from mlpo.evaluation.strategies import strategy_names
from mlpo.files import write_json_atomic
from mlpo.inference.scripted import ScriptedModels
from mlpo.inference.usage import GenerationLedger
from mlpo.layout import (
    METRICS,
    MLPO_LEADER,
    SFT_LEADER,
    TEST_PROBLEMS,
    TRANSCRIPTS,
    WORK,
    proposals_of,
    transcripts_of,
)
from mlpo.method.metrics.evaluation import Graded
from mlpo.method.prompts import leader_text
from mlpo.method.strategies.corex import SCORE_SYSTEM
from mlpo.method.strategies.deferral import DEFERRAL_SYSTEM
from mlpo.stages import propose
from mlpo.stages.evaluate import metrics_of
from mlpo.store import read_jsonl, write_jsonl_atomic
from mlpo.types import LEADER, Problem, Request, Transcript
from tests.checkout import copy_proposals, proposed

NUM_TEST, NUM_AGENTS, NUM_ROUNDS = 4, 2, 2
LEADER_CALLS = 3 * NUM_ROUNDS + 2
"""Per problem: untrained, SFT and MLPO leader with the team, the last two alone."""
AGENT_CALLS = NUM_ROUNDS - 1
"""Per problem, agent and different draft: round 0 comes from data/proposals."""
ALL_CALLS = NUM_TEST * (LEADER_CALLS + NUM_AGENTS * AGENT_CALLS)


def reply(request: Request) -> str:
    """The adder adds, the guesser says 11; the leader believes the adder and alone says 13."""
    question = request.messages[-1].content
    right = str(int(re.findall(r"(\d+) \+ 1\?", question)[-1]) + 1)
    if request.model == "adder":
        return right
    if request.model == "guesser":
        return "11"
    return leader_text("I trust adder.", right if "adder:" in question else "13")


@pytest.fixture(scope="module")
def with_proposals(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Path:
    return proposed(tmp_path_factory.mktemp("proposed"), empty_database, reply)


@pytest.fixture
def ready(house: Path, with_proposals: Path, params: Params) -> Params:
    """A house with its proposals and (scripted) leaders."""
    copy_proposals(with_proposals, house)
    for folder in (SFT_LEADER, MLPO_LEADER):
        folder.mkdir(parents=True)
    return params


def played(params: Params, models: ScriptedModels) -> dict[str, list[Graded]]:
    return play(params, read_arena(params), models, ledger=GenerationLedger()).graded


def written() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in TRANSCRIPTS.iterdir()}


def test_every_strategy_answers_every_test_problem(ready: Params) -> None:
    graded = played(ready, ScriptedModels(reply))
    # targets 11, 12, 13, 14: the adder has all, the guesser and the lone leader one each; ties in votes go by a shuffle
    correct = {name: sum(g.correct for g in rows) for name, rows in graded.items()}
    assert 1 <= correct.pop("majority_vote") <= NUM_TEST
    assert correct == {
        "single:adder": 4,
        "single:guesser": 1,
        "oracle_any": 4,
        "untrained_leader": 4,
        "sft_leader": 4,
        "sft_leader_solo": 1,
        "leader": 4,
        "leader_solo": 1,
        "router_by_family": 4,  # the house's table says adder
        "router_by_overlap": 1,  # nobody repeats the question, so the leader alone answers
    }
    for name in graded:
        transcripts = list(read_jsonl(transcripts_of(name), Transcript))
        assert [t.problem_id for t in transcripts] == [f"test{n:06d}" for n in (10, 11, 12, 13)]
        assert {t.strategy for t in transcripts} == {name}
        assert all(c.text for t in transcripts for c in t.completions)


def test_what_an_evaluation_before_left_is_gone(ready: Params, raw_params: dict[str, Any]) -> None:
    raw_params["evaluate"]["rivals"] = ["debate"]
    played(parse_params(raw_params), ScriptedModels(reply))
    write_json_atomic(METRICS, {"of": "debate too"})
    assert transcripts_of("debate").is_file()

    def stopped(request: Request) -> str:
        raise KeyboardInterrupt

    (WORK / "evaluation.jsonl").unlink()
    with pytest.raises(KeyboardInterrupt):
        played(ready, ScriptedModels(stopped))
    assert not METRICS.exists()
    graded = played(ready, ScriptedModels(reply))
    assert set(TRANSCRIPTS.iterdir()) == set(map(transcripts_of, graded))


def test_only_the_leaders_asked_for_play_and_cost(ready: Params, raw_params: dict[str, Any]) -> None:
    raw_params["evaluate"]["leaders"] = ["mlpo"]
    params, models = parse_params(raw_params), ScriptedModels(reply)
    graded = played(params, models)
    without_leader = {"single:adder", "single:guesser", "majority_vote", "oracle_any"}
    assert set(graded) == {*without_leader, "leader", "leader_solo", "router_by_family", "router_by_overlap"}
    assert models.backend.num_generations == NUM_TEST * (NUM_ROUNDS + 1 + NUM_AGENTS * AGENT_CALLS)


def test_the_best_agent_is_chosen_on_training_problems(ready: Params) -> None:
    def better_in_training(request: Request) -> str:
        """The guesser has every training problem and no test problem, the adder the other way round."""
        right = str(int(request.messages[-1].content.split()[0]) + 1)
        in_training = request.problem_id.startswith("train")
        return right if (request.model == "guesser") == in_training else "0"

    for agent in ready.team:
        proposals_of(agent).unlink()
        Path(f".mlpo/proposals/{agent}.jsonl").unlink()
        propose.run(ready, agent, models=ScriptedModels(better_in_training))
    assert read_arena(ready).best_single == "guesser"


def test_round_0_is_not_asked_again(ready: Params) -> None:
    asked: Counter[bool] = Counter()

    def listen(request: Request) -> str:
        asked[request.model == LEADER] += 1
        if request.model != LEADER:
            assert "Your leader says" in request.messages[-1].content
        return reply(request)

    played(ready, ScriptedModels(listen))
    # all three leaders give the same draft here, so each agent is asked once a problem after round 0
    assert asked == {True: NUM_TEST * LEADER_CALLS, False: NUM_TEST * NUM_AGENTS * AGENT_CALLS}


def test_the_plan_counts_what_is_answered(ready: Params) -> None:
    arena = read_arena(ready)
    done: list[int] = []
    play(ready, arena, ScriptedModels(reply), ledger=GenerationLedger(), on_done=done.append)
    # per problem: 2 singles, a vote of 2, 3 leaders x 2 rounds x (2 agents + leader), 2 leaders alone, 2 routers
    assert sum(done) == arena.num_completions == NUM_TEST * (2 + 2 + 3 * 2 * 3 + 2 + 1 + 3)


def test_the_second_run_makes_no_model_call_and_the_same_bytes(ready: Params) -> None:
    played(ready, ScriptedModels(reply))
    first = written()
    models = ScriptedModels(reply)
    played(ready, models)
    assert (models.backend.num_calls, models.opened) == (0, [])
    assert written() == first


def test_a_stopped_run_goes_on(ready: Params) -> None:
    def stopped(request: Request) -> str:
        if request.model == LEADER and str(SFT_LEADER) in models.opened[-1]:
            raise KeyboardInterrupt
        return reply(request)

    models = ScriptedModels(stopped)
    with pytest.raises(KeyboardInterrupt):
        played(ready, models)
    rest = ScriptedModels(reply)
    played(ready, rest)
    # only the batch that was stopped is paid for twice: the SFT leader's solo answers, which need no proposals first
    assert models.backend.num_generations + rest.backend.num_generations == ALL_CALLS + NUM_TEST
    resumed = written()
    Path(".mlpo/evaluation.jsonl").unlink()
    played(ready, ScriptedModels(reply))
    assert written() == resumed


def test_another_leader_pays_only_for_itself(ready: Params) -> None:
    played(ready, ScriptedModels(reply))

    class Retrained(ScriptedModels):
        def identity(self, model: str, revision: str | None) -> str:
            return super().identity(model, revision) + ("+" if model == str(MLPO_LEADER) else "")

    models = Retrained(reply)
    played(ready, models)
    assert models.backend.num_generations == NUM_TEST * (NUM_ROUNDS + 1)


def test_the_untrained_leader_is_shown_the_form(ready: Params) -> None:
    prompts: dict[str, Request] = {}

    def listen(request: Request) -> str:
        if request.model == LEADER:
            prompts.setdefault(models.opened[-1], request)
        return reply(request)

    models = ScriptedModels(listen)
    played(ready, models)
    untrained, trained = prompts["scripted:tiny@None"], prompts[f"scripted:{MLPO_LEADER}@None"]
    # system, 3 training problems as user and assistant, the problem: 4 examples are wanted, the house has 3 problems
    assert [m.role for m in untrained.messages] == ["system", *["user", "assistant"] * 3, "user"]
    assert "adder: " in untrained.messages[1].content
    assert re.fullmatch(r"<think>.*</think><answer>\d</answer>", untrained.messages[2].content)
    assert [m.role for m in trained.messages] == ["system", "user"]


def test_only_the_untrained_leader_is_read_leniently(ready: Params) -> None:
    def without_tags(request: Request) -> str:
        return "so it is\n14" if request.model == LEADER else reply(request)

    graded = played(ready, ScriptedModels(without_tags))
    assert [g.correct for g in graded["untrained_leader"]] == [False, False, False, True]
    assert all(g.transcript.lenient for g in graded["untrained_leader"])
    assert all(g.transcript.answer is None for g in graded["leader"])


def test_self_consistency_is_played_if_asked_for(ready: Params, raw_params: dict[str, Any]) -> None:
    raw_params["evaluate"]["self_consistency_samples"] = 3
    rows = played(parse_params(raw_params), ScriptedModels(reply))["self_consistency"]
    assert {len(g.transcript.extra) for g in rows} == {3}
    assert sum(g.correct for g in rows) == 1


def with_rivals(raw_params: dict[str, Any], *names: str) -> Params:
    raw_params["evaluate"]["rivals"] = list(names)
    return parse_params(raw_params)


def leads(request: Request) -> str:
    """`reply`, whose leader scores and picks too, and whose agents teach."""
    system, question = request.messages[0].content, request.messages[-1].content
    if "what should the team remember" in question:
        return "Count."
    if system == SCORE_SYSTEM:
        return "0.1" if "proposed: 11\n" in question else "0.9"
    return "<answer>adder</answer>" if system == DEFERRAL_SYSTEM else reply(request)


def test_every_rival_is_played_at_its_budget(ready: Params, raw_params: dict[str, Any]) -> None:
    graded = played(with_rivals(raw_params, *RIVALS), ScriptedModels(leads))
    by_rival = {name: {len(g.transcript.completions) for g in graded[name]} for name in RIVALS}
    # K = 2 agents, T = 2 rounds, R = L = 2; camps of one that end apart need a judge, but not where 11 is right
    budget = 3 * 2
    assert by_rival == {
        "debate": {2 * 2},
        "mixture_of_agents": {2 * 2 + 1},
        "corex_discuss": {2 * 2, 2 * 2 + 1},
        "corex_review": {2},
        "corex_retrieve": {2 * 2},
        "lessons": {2 * 3},
        "deferral": {2 + 1},
        "majority_vote_equal_generations": {budget},
        "self_consistency_equal_generations": {budget},
        "majority_vote_equal_tokens": by_rival["majority_vote_equal_tokens"],
        "self_consistency_equal_tokens": by_rival["self_consistency_equal_tokens"],
    }
    assert [all(g.correct for g in graded[name]) for name in ("corex_retrieve", "deferral")] == [True, True]
    for name in RIVALS:
        assert {t.strategy for t in read_jsonl(transcripts_of(name), Transcript)} == {name}


@pytest.mark.parametrize(
    "asked",
    [{}, {"leaders": ["mlpo"]}, {"leaders": ["mlpo", "sft"], "self_consistency_samples": 2}, {"rivals": [*RIVALS]}],
)
def test_the_names_of_all_strategies_are_known_from_the_parameters_alone(
    ready: Params, raw_params: dict[str, Any], asked: dict[str, Any]
) -> None:
    raw_params["evaluate"] |= asked
    params = parse_params(raw_params)
    metrics = metrics_of(params, read_arena(params), played(params, ScriptedModels(leads)))
    names = strategy_names(params)
    assert len(names) == len(set(names))
    assert set(names) == set(metrics["strategies"])


def test_the_leader_may_be_told_how_sure_its_agents_are(ready: Params, raw_params: dict[str, Any]) -> None:
    params = parse_params(raw_params | {"rounds": {"agreement_samples": 2}})
    told: set[str] = set()

    def listening(request: Request) -> str:
        if request.model == LEADER:
            told.update(re.findall(r"(?:adder|guesser)[^:]*:", request.messages[-1].content))
        return reply(request)

    metrics = metrics_of(params, read_arena(params), played(params, ScriptedModels(listening)))
    assert told == {"adder (2 of 2):", "guesser (2 of 2):"}
    # two samples of each of two agents, and a draft, in two rounds
    assert metrics["strategies"][LEADER]["generations"] == (2 * 2 + 1) * 2
    assert metrics["strategies"][LEADER]["generations_saved"] == 0


def test_equal_tokens_are_the_leaders_own_on_each_problem(ready: Params, raw_params: dict[str, Any]) -> None:
    names = ("majority_vote_equal_tokens", "self_consistency_equal_tokens")
    graded = played(with_rivals(raw_params, *names), ScriptedModels(reply))

    def tokens(of: Graded) -> list[int]:
        return [c.prompt_tokens + c.completion_tokens for c in of.transcript.completions]

    for name in names:
        for rival, leader in zip(graded[name], graded[LEADER], strict=True):
            spent, budget = tokens(rival), sum(tokens(leader))
            # the nearest whole number of samples: no more than half a sample off, and a little where prices differ
            assert abs(sum(spent) - budget) <= max(spent) / 2 + len(spent) * (max(spent) - min(spent))


def test_no_rival_is_played_unasked_and_asking_changes_no_other(ready: Params, raw_params: dict[str, Any]) -> None:
    played(ready, ScriptedModels(reply))
    before = written()
    assert not {f"{name}.jsonl" for name in RIVALS} & set(before)
    played(with_rivals(raw_params, "debate", "deferral"), ScriptedModels(leads))
    after = written()
    assert set(after) - set(before) == {"debate.jsonl", "deferral.jsonl"}
    assert {name: after[name] for name in before} == before


def test_what_a_judge_did_not_have_to_say_is_saved(ready: Params, raw_params: dict[str, Any]) -> None:
    params = with_rivals(raw_params, "corex_discuss")
    arena = read_arena(params)
    graded = play(params, arena, ScriptedModels(reply), ledger=GenerationLedger()).graded
    metrics = metrics_of(params, arena, graded)
    # the adder and the guesser agree on one of four problems, whose target is 11
    assert metrics["strategies"]["corex_discuss"]["generations_saved"] == 0.25
    assert metrics["strategies"]["corex_discuss"]["generations"] == 2 * 2 + 0.75
    assert {row["generations_saved"] for name, row in metrics["strategies"].items() if name != "corex_discuss"} == {0}
    assert "leader_vs_corex_discuss" in metrics["paired"]


def test_what_is_missing_is_named(ready: Params) -> None:
    proposals = proposals_of("adder").read_bytes()
    proposals_of("adder").write_bytes(b"".join(proposals.splitlines(keepends=True)[:-1]))
    with pytest.raises(
        ConfigError,
        match=r"adder.jsonl: 1 proposals for problem train000002 of .*/train.jsonl, 2 for .*; run `mlpo propose adder`",
    ):
        read_arena(ready)
    proposals_of("adder").unlink()
    with pytest.raises(ConfigError, match=r"adder.jsonl: no such file"):
        read_arena(ready)
    SFT_LEADER.rmdir()
    with pytest.raises(ConfigError, match=r"data/leaders/sft: no leader here; run `mlpo train_sft`"):
        read_arena(ready)
    write_jsonl_atomic(TEST_PROBLEMS, list[Problem]())
    with pytest.raises(ConfigError, match=r"test.jsonl: no problems; raise prepare.num_test"):
        read_arena(ready)

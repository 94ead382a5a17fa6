"""Routers are played by what data/calibration/routing.json says, and yardsticks where agents have documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlpo.config import ConfigError, Params, parse_params
from mlpo.evaluation.play import play, read_arena
from mlpo.evaluation.routing import read_routing, write_routing
from mlpo.evaluation.strategies import strategy_names
from mlpo.inference.scripted import ScriptedModels
from mlpo.inference.usage import GenerationLedger
from mlpo.layout import MLPO_LEADER, ROUTING, SFT_LEADER, passages_of
from mlpo.method.prompts import leader_text
from mlpo.method.rare_words import WordCounts
from mlpo.method.routing import NEVER, UNROUTED, Routing
from mlpo.stages import propose
from mlpo.stages.evaluate import metrics_of
from mlpo.store import write_jsonl_atomic
from mlpo.team.holders import num_holders
from mlpo.types import LEADER, Passage, Problem, Request

YARDSTICKS = {"router_by_score", "pooled_documents", "sft_pooled_documents"}


def reply(request: Request) -> str:
    """An agent answers what its note says, else 0; a leader too, and believes every proposal but 0."""
    *lines, question = request.messages[-1].content.splitlines()
    for line in lines:
        if line.startswith(f"Note: {question.rstrip('?')}"):
            return leader_text("A note.", line.split()[-1]) if request.model == LEADER else line.removeprefix("Note: ")
    return leader_text("I guess.", "0") if request.model == LEADER else "0"


def with_documents(raw: dict[str, Any]) -> Params:
    """The adder holds 10 + 1 and 11 + 1, the guesser 12 + 1; zeros keep a sum from being another question's word."""
    for agent, numbers in {"adder": (10, 11), "guesser": (12,)}.items():
        raw["team"][agent] |= {"shots": {}, "reference": {"source": "notes.txt"}}
        write_jsonl_atomic(passages_of(agent), [Passage(f"{n} + 1 is 00{n + 1}", "notes") for n in numbers])
    return parse_params(raw)


def test_what_the_routers_know_is_read_as_it_was_written(house: Path, params: Params) -> None:
    for known in (Routing({"sum": LEADER, "product": "guesser"}, "adder", 0.25, WordCounts(3, {"é": 2})), UNROUTED):
        write_routing(known)
        assert read_routing(params) == known


def test_a_routing_that_cannot_be_used_says_what_to_run(house: Path, params: Params) -> None:
    write_routing(Routing({"sum": "stranger"}, LEADER, NEVER, WordCounts(0, {})))
    with pytest.raises(ConfigError, match=r"routing.json: names stranger, but the team is adder, guesser; run `mlpo"):
        read_routing(params)
    ROUTING.write_text("{}")
    with pytest.raises(ConfigError, match=r"routing.json: not what the routers know .*; run `mlpo calibrate`"):
        read_routing(params)
    ROUTING.unlink()
    with pytest.raises(ConfigError, match=r"routing.json: no such file; run `mlpo calibrate`"):
        read_routing(params)


def test_yardsticks_are_played_where_agents_have_documents(house: Path, raw_params: dict[str, Any]) -> None:
    assert not YARDSTICKS & set(strategy_names(parse_params(raw_params)))
    params = with_documents(raw_params)
    assert set(strategy_names(params)) >= YARDSTICKS
    for agent in params.team:
        propose.run(params, agent, models=ScriptedModels(reply))
    for folder in (SFT_LEADER, MLPO_LEADER):
        folder.mkdir(parents=True)
    write_routing(Routing({"sum": "adder"}, "adder", 0.5, WordCounts.of(["7 + 1?", "8 + 1?"])))
    arena = read_arena(params)
    graded = play(params, arena, ScriptedModels(reply), ledger=GenerationLedger()).graded
    names = (*YARDSTICKS, "router_by_family", "router_by_overlap")
    right = {name: [g.correct for g in graded[name]] for name in names}
    # 13 + 1 is held by nobody; the table asks the adder alone
    known = [True, True, True, False]
    assert right == {
        "router_by_family": [True, True, False, False],
        "router_by_overlap": known,
        "router_by_score": known,
        "pooled_documents": known,
        "sft_pooled_documents": known,
    }
    [shown] = [g.transcript.rounds[0].draft for g in graded["sft_pooled_documents"] if g.problem.question == "12 + 1?"]
    assert shown is not None
    assert "12 + 1 is 0013" in [passage.text for passage in shown.passages]

    metrics = metrics_of(params, arena, graded)
    assert set(metrics["strategies"]) == set(strategy_names(params))
    # the leader alone knows nothing, of 4 problems 3 can be won
    assert metrics["headroom"]["leader"]["winnable"]["share"] == 0.75
    assert metrics["by_holders"]["leader"] == {}  # a user's documents: nobody knows who holds what


def test_rules_that_trust_the_surest_are_rivals_where_agents_tell_how_sure_they_are(raw_params: dict[str, Any]) -> None:
    names = {"surest_agent", "weighted_vote"}
    assert not names & set(strategy_names(parse_params(raw_params)))
    assert names <= set(strategy_names(parse_params(raw_params | {"rounds": {"tell_certainty": True}})))


def test_who_holds_a_fact_is_known_of_facts_that_were_dealt(raw_params: dict[str, Any]) -> None:
    problems = [Problem(f"p{n}", "basics", f, f"{n}?", "1", "integer") for n, f in enumerate(["sum", "plural", "size"])]
    assert num_holders(parse_params(raw_params), problems) == {}  # no documents at all
    adder, guesser = raw_params["team"]["adder"], raw_params["team"]["guesser"]
    adder["reference"] = {"source": "benchmark:basics", "families": ["sum", "plural"]}
    assert num_holders(parse_params(raw_params), problems) == {"p0": 1, "p1": 1, "p2": 0}
    guesser["reference"] = {"source": "benchmark:basics", "families": ["sum"]}
    assert num_holders(parse_params(raw_params), problems) == {"p0": 2, "p1": 1, "p2": 0}
    guesser["reference"] = {"source": "benchmark:mmlu"}
    assert num_holders(parse_params(raw_params), problems) == {"p0": 1, "p1": 1, "p2": 0}
    guesser["reference"] = {"source": "notes.txt"}
    assert num_holders(parse_params(raw_params), problems) == {}

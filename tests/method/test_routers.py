"""Routers ask by rule, and ask the leader alone as everybody asks it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from mlpo.method.rare_words import WordCounts
from mlpo.method.routers import router_by_family, router_by_overlap, router_by_score, surest_agent
from mlpo.method.routing import UNROUTED, Routing
from mlpo.method.strategies.baselines import single_agent, solo_leader
from mlpo.types import LEADER, Completion, Problem, Request, StrategyRun, Transcript
from tests.method.strategy_driver import DRAFT, ORDER, SAMPLING, SUM, TEAM, drive

PLAYERS: dict[str, Any] = {"team": TEAM, "sampling": SAMPLING, "leader_sampling": DRAFT, "seed": 0}
ARMY = Problem("p2", "basics", "plural", "What is the plural of army?", "armies", "word")
WORDS = WordCounts.of([ARMY.question, "What is the plural of artist?", "What is the plural of ox?"])


def asked_alone() -> list[Request]:
    return next(solo_leader(SUM, leader_sampling=DRAFT, seed=0))


def by_family(problem: Problem, table: Mapping[str, str]) -> StrategyRun:
    return router_by_family(problem, routing=Routing(table, LEADER, 1.0, WORDS), **PLAYERS)


def by_overlap(problem: Problem, routing: Routing) -> StrategyRun:
    return router_by_overlap(problem, routing=routing, **PLAYERS)


def test_the_tables_agent_is_asked_and_nobody_else() -> None:
    transcript, asked = drive(by_family(SUM, {"sum": "number"}), {"number": "It is 5."})
    assert (transcript.strategy, transcript.answer) == ("router_by_family", "5")
    assert asked == [next(single_agent(SUM, agent=TEAM[2], sampling=SAMPLING["number"], seed=0))]


def test_the_leader_alone_is_a_source_and_is_asked_as_ever() -> None:
    for table in ({"sum": LEADER}, {"plural": "number"}):  # named, or best of all for a family nobody knows
        transcript, asked = drive(by_family(SUM, table), ["<think>T</think><answer>5</answer>"])
        assert asked == [asked_alone()]
        assert transcript.answer == "5"
        assert transcript.rounds[0].proposals == ()


def test_a_table_of_another_team_is_refused() -> None:
    with pytest.raises(ValueError, match="names stranger, but the team is geo, language, number; count it again"):
        next(by_family(SUM, {"sum": "stranger"}))


def test_who_speaks_of_the_question_is_believed() -> None:
    team = {"geo": "The plural of artist is artists.", "language": "The plural of army is armies.", "number": "7"}
    transcript, asked = drive(by_overlap(ARMY, Routing({}, LEADER, 1.0, WORDS)), team)
    assert (transcript.strategy, transcript.answer) == ("router_by_overlap", "armies")
    assert [len(batch) for batch in asked] == [3]
    assert transcript.rounds[0].draft is None


def test_the_leader_alone_answers_where_nobody_does() -> None:
    texts = ["The plural of artist is artists."] * 3
    transcript, asked = drive(by_overlap(ARMY, Routing({}, LEADER, 1.0, WORDS)), texts, ["<answer>armies</answer>"])
    assert transcript.answer == "armies"
    assert asked[1] == next(solo_leader(ARMY, leader_sampling=DRAFT, seed=0))
    assert len(transcript.rounds[0].proposals) == 3
    assert drive(by_overlap(SUM, UNROUTED), ["2 + 3 = 5"] * 3, ["<answer>6</answer>"])[0].answer == "6"


def surest(**entropies: float | None) -> Transcript:
    """Who is believed where each agent says a number of its own; language says none."""
    run = surest_agent(SUM, team=TEAM, sampling=SAMPLING, seed=0)
    requests = next(run)
    texts = {"geo": "It is 1.", "language": "I cannot say", "number": "It is 3."}
    answers = [Completion(SUM.id, r.model, texts[r.model], "stop", 10, 3, entropy=entropies[r.model]) for r in requests]
    with pytest.raises(StopIteration) as end:
        run.send(answers)
    transcript: Transcript = end.value.value
    assert (transcript.strategy, len(transcript.completions)) == ("surest_agent", 3)
    return transcript


def test_the_surest_with_an_answer_is_believed() -> None:
    assert surest(geo=0.5, language=0.0, number=0.4).answer == "3"
    assert surest(geo=0.3, language=0.0, number=0.4).answer == "1"
    assert surest(geo=5.0, language=0.0, number=None).answer == "1"  # who tells nothing is least sure
    said = {"geo": "It is 1.", "language": "no idea", "number": "It is 3."}
    transcript, _ = drive(surest_agent(SUM, team=TEAM, sampling=SAMPLING, seed=0), said)
    assert transcript.answer == {"geo": "1", "number": "3"}[next(name for name in ORDER if name != "language")]


def scored(**scores: float) -> StrategyRun:
    def score(value: float) -> Callable[[str], float]:
        return lambda question: value if question == SUM.question else 99.0

    return router_by_score(SUM, scores={name: score(value) for name, value in scores.items()}, **PLAYERS)


def test_the_best_passage_names_the_agent() -> None:
    transcript, [[request]] = drive(scored(geo=1.0, language=3.5, number=2.0), ["5"])
    assert (transcript.strategy, transcript.answer, request.model) == ("router_by_score", "5", "language")
    assert next(scored(number=0.1))[0].model == "number"  # the others have no documents


def test_without_a_passage_the_leader_is_alone() -> None:
    for run in (scored(geo=0.0, number=0.0), scored()):
        assert drive(run, ["<answer>5</answer>"])[1] == [asked_alone()]

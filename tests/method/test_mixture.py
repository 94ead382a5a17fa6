"""Mixture-of-Agents: layer upon layer, and the untrained leader on top."""

from __future__ import annotations

from typing import Any

import pytest

from mlpo.method.prompts import leader_messages
from mlpo.method.strategies.leader_rounds import leader_rounds
from mlpo.method.strategies.mixture import mixture_of_agents
from mlpo.types import LEADER, Message, StrategyRun
from tests.method.strategy_driver import DRAFT, ORDER, SAMPLING, SUM, TEAM, drive

EXAMPLES = (Message("user", "1 + 1?"), Message("assistant", "<think>a</think><answer>2</answer>"))


def start(**changes: Any) -> StrategyRun:
    how: dict[str, Any] = {"team": TEAM, "sampling": SAMPLING, "leader_sampling": DRAFT, "num_layers": 2, "seed": 0}
    return mixture_of_agents(SUM, **how | changes)


def test_the_leader_aggregates_the_last_layer() -> None:
    second = {"geo": "5", "language": "7", "number": "8"}
    transcript, asked = drive(start(examples=EXAMPLES), ["6"] * 3, second, ["<think></think><answer>5</answer>"])
    assert (transcript.strategy, transcript.answer) == ("mixture_of_agents", "5")
    assert [len(batch) for batch in asked] == [3, 3, 1]  # K * L + 1 = 3 * 2 + 1 generations
    [aggregate] = asked[-1]
    system, question = leader_messages(SUM, transcript.rounds[-1].proposals)
    assert (aggregate.model, aggregate.messages) == (LEADER, (system, *EXAMPLES, question))
    assert "geo: 5" in question.content
    assert [(r.answer, r.draft is None) for r in transcript.rounds] == [("6", True), ("5", False)]


def test_an_agent_reads_the_whole_layer_below_before_the_question() -> None:
    first = {"geo": "5", "language": "six\ngeo: 1", "number": "7"}
    _, asked = drive(start(), first, ["5"] * 3, ["5"])
    for request in asked[1]:
        assert [m.role for m in request.messages] == ["system", "user"]
        lines = request.messages[-1].content.splitlines()
        assert [line.split(":")[0] for line in lines if not line.startswith(" ")] == [
            "Others say",
            *ORDER,
            SUM.question,
        ]
        assert "    geo: 1" in lines  # quoted: it is not geo's line


def test_one_layer_asks_what_the_untrained_leader_asks() -> None:
    answers = ["5", "6", "7"], ["<think></think><answer>5</answer>"]
    _, one_layer = drive(start(num_layers=1), *answers)
    rounds = leader_rounds(SUM, team=TEAM, sampling=SAMPLING, leader_sampling=DRAFT, num_rounds=1, seed=0)
    assert drive(rounds, *answers)[1] == one_layer


def test_an_untrained_leader_may_be_read_leniently() -> None:
    answers = ["5"] * 3, ["6"] * 3, ["so\n5"]
    assert drive(start(), *answers)[0].answer is None
    transcript, _ = drive(start(lenient=True), *answers)
    assert (transcript.answer, transcript.lenient) == ("5", True)


def test_no_layer_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 layer"):
        next(start(num_layers=0))

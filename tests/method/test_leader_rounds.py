"""The leader's rounds, driven with `next` and `send` and plain strings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpo.method.prompts import AgentPrompt, agent_messages, leader_messages
from mlpo.method.strategies.leader_rounds import RoundRules, Share, draft_requests, leader_rounds, order_of
from mlpo.types import LEADER, Completion, Message, Problem, Request, Sampling, StrategyRun, Transcript

SUM = Problem("p1", "basics", "sum", "2 + 3?", "5", "integer")
TEAM = tuple(AgentPrompt(name, f"I am {name}.") for name in ("geo", "language", "number"))
SAMPLING = {agent.name: Sampling(temperature=0.7, max_tokens=12) for agent in TEAM}
DRAFT = Sampling(temperature=0.0, max_tokens=40)


def answered(request: Request, text: str) -> Completion:
    reason = "error" if text == "ERROR" else "stop"
    return Completion(
        request.problem_id, request.model, "" if reason == "error" else text, reason, 10, 3, request.sample
    )


def play(run: StrategyRun, reply: Callable[[Request, int], str]) -> tuple[Transcript, list[list[Request]]]:
    """Drive a strategy to its end; `reply` gets the request and the number of the batch it came in."""
    batches = [next(run)]
    while True:
        completions = [answered(request, reply(request, len(batches) - 1)) for request in batches[-1]]
        try:
            batches.append(run.send(completions))
        except StopIteration as end:
            return end.value, batches


def rounds(
    num_rounds: int = 2,
    *,
    problem: Problem = SUM,
    team: tuple[AgentPrompt, ...] = TEAM,
    share: Share = "reasoning",
    early_stop: bool = False,
    seed: int = 0,
    examples: tuple[Message, ...] = (),
    lenient: bool = False,
) -> StrategyRun:
    return leader_rounds(
        problem,
        team=team,
        sampling={agent.name: SAMPLING.get(agent.name, DRAFT) for agent in team},
        leader_sampling=DRAFT,
        num_rounds=num_rounds,
        share=share,
        early_stop=early_stop,
        seed=seed,
        examples=examples,
        lenient=lenient,
    )


def leader_says(answer: str) -> str:
    return f"<think>hm</think><answer>{answer}</answer>"


def test_two_rounds_of_three_agents_are_eight_generations():
    transcript, batches = play(rounds(), lambda r, i: leader_says("5") if r.model == LEADER else "4")
    order = list(order_of("p1", ("geo", "language", "number"), 0))
    assert [[r.model for r in batch] for batch in batches] == [order, [LEADER], order, [LEADER]]
    assert len(transcript.completions) == 8
    assert (transcript.strategy, transcript.answer, transcript.lenient) == ("leader", "5", False)
    assert [[p.model for p in r.proposals] for r in transcript.rounds] == [order, order]


def test_any_number_of_agents_and_rounds():
    team = tuple(AgentPrompt(f"a{i}", "") for i in range(7))
    transcript, batches = play(rounds(5, team=team), lambda r, i: leader_says("5"))
    assert len(transcript.completions) == (7 + 1) * 5  # (K + 1) * T
    assert len(batches) == 2 * 5


def test_an_agent_sees_its_own_last_proposal_and_the_draft_and_nobody_elses():
    def reply(request: Request, batch: int) -> str:
        return leader_says("7") if request.model == LEADER else f"{request.model} in batch {batch}"

    _, batches = play(rounds(), reply)
    for request in batches[2]:
        agent = next(a for a in TEAM if a.name == request.model)
        own = f"{agent.name} in batch 0"
        assert request.messages == agent_messages(agent, SUM, previous=own, draft=leader_says("7"))
        seen = " ".join(m.content for m in request.messages)
        assert not any(f"{a.name} in batch" in seen for a in TEAM if a != agent)


def test_the_leader_sees_the_proposals_of_this_round_in_the_shuffled_order_and_no_former_draft():
    def reply(request: Request, batch: int) -> str:
        return leader_says("777") if request.model == LEADER else f"{request.model} {batch}"

    transcript, batches = play(rounds(), reply)
    assert batches[3][0].messages == leader_messages(SUM, transcript.rounds[1].proposals)
    seen = " ".join(m.content for m in batches[3][0].messages)
    assert "777" not in seen
    assert " 0" not in seen.replace(SUM.question, "")


def test_the_leader_sees_the_surest_first_where_agents_tell_how_sure_they_are():
    def sure(request: Request) -> Completion:
        entropies = {"geo": 0.7, "language": None, "number": 0.1}
        return replace(answered(request, "5"), entropy=entropies.get(request.model))

    run = rounds(1)
    asked = run.send([sure(request) for request in next(run)])
    lines = asked[0].messages[-1].content.splitlines()[1:]
    assert lines == ["number (90 % sure): 5", "geo (50 % sure): 5", "language: 5"]
    with pytest.raises(StopIteration) as end:
        run.send([answered(asked[0], "5")])
    shown = end.value.value.rounds[0].proposals
    assert [c.model for c in shown] == ["number", "geo", "language"]  # the transcript tells what the leader saw


def test_further_samples_of_a_draft_are_not_asked_how_unsure_they_are():
    unsure = replace(DRAFT, entropy=True)
    rules = RoundRules(TEAM, SAMPLING, unsure, num_rounds=1, seed=0, num_samples=2)
    asked = draft_requests(SUM, leader_messages(SUM, ()), rules)
    assert [request.sampling.entropy for request in asked] == [True, False, False]


def test_answers_only_when_only_answers_are_shared():
    def reply(request: Request, batch: int) -> str:
        return "<think>secret</think><answer>5</answer>" if request.model == LEADER else "Let me see: 2 + 3 = 4"

    transcript, batches = play(rounds(share="answer"), reply)
    for request in (r for batch in batches[1:] for r in batch):
        seen = " ".join(m.content for m in request.messages)
        assert "secret" not in seen
        assert "Let me see" not in seen
    assert {tuple(m.content for m in r.messages[-2:]) for r in batches[2]} == {
        ("4", f"Your leader says: 5\n{SUM.question}")
    }
    assert transcript.rounds[0].proposals[0].text == "Let me see: 2 + 3 = 4"  # the transcript keeps what was said


def test_the_answer_is_the_last_rounds_even_if_there_is_none():
    transcript, _ = play(
        rounds(), lambda r, i: (leader_says("5") if i == 1 else "no tags") if r.model == LEADER else "5"
    )
    assert [r.answer for r in transcript.rounds] == ["5", None]
    assert transcript.answer is None


def test_a_failed_agent_is_no_answer_and_keeps_its_former_proposal():
    def reply(request: Request, batch: int) -> str:
        if request.model == LEADER:
            return leader_says("5")
        return "ERROR" if request.model == "geo" and batch == 2 else "4"

    transcript, batches = play(rounds(3), reply)
    assert [p.finish_reason for p in transcript.rounds[1].proposals if p.model == "geo"] == ["error"]
    geo = next(r for r in batches[4] if r.model == "geo")
    assert geo.messages == agent_messages(TEAM[0], SUM, previous="4", draft=leader_says("5"))


def test_a_failed_leader_leaves_agents_without_a_draft():
    transcript, batches = play(rounds(), lambda r, i: "ERROR" if r.model == LEADER else "5")
    assert transcript.answer is None
    assert all(len(r.messages) == 2 for r in batches[2])  # system and problem, as in round 0


EARLY = {  # leader's answers by round, agents' by round -> rounds held
    "agreed twice": (["5", "5", "5"], ["5", "5", "5"], 2),
    "leader moved": (["4", "5", "5"], ["5", "5", "5"], 3),
    "agents came round later": (["5", "5", "5"], ["4", "4", "5"], 3),
    "nobody answers": (["x", "x", "x"], ["x", "x", "x"], 3),
}


@pytest.mark.parametrize(("leader", "agents", "held"), EARLY.values(), ids=EARLY.keys())
def test_early_stop(leader: list[str], agents: list[str], held: int):
    def reply(request: Request, batch: int) -> str:
        return leader_says(leader[batch // 2]) if request.model == LEADER else agents[batch // 2]

    transcript, _ = play(rounds(3, early_stop=True), reply)
    assert len(transcript.rounds) == held
    assert len(play(rounds(3), reply)[0].rounds) == 3


def test_one_dissenting_agent_prevents_early_stop():
    def reply(request: Request, batch: int) -> str:
        return leader_says("5") if request.model == LEADER else ("4" if request.model == "geo" else "5")

    assert len(play(rounds(4, early_stop=True), reply)[0].rounds) == 4


def test_an_untrained_leader_is_read_leniently_and_flagged():
    strict, _ = play(rounds(), lambda r, i: "I add them.\nThe answer is 5." if r.model == LEADER else "4")
    lenient, _ = play(rounds(lenient=True), lambda r, i: "I add them.\nThe answer is 5." if r.model == LEADER else "4")
    assert (strict.answer, strict.lenient) == (None, False)
    assert (lenient.answer, lenient.lenient) == ("5", True)


def test_worked_examples_stand_between_the_leaders_system_message_and_the_problem():
    examples = (Message("user", "1 + 1?"), Message("assistant", leader_says("2")))
    _, batches = play(rounds(examples=examples), lambda r, i: leader_says("5"))
    asked = batches[1][0].messages
    assert [m.role for m in asked] == ["system", "user", "assistant", "user"]
    assert asked[1:3] == examples
    assert not any(m in examples for r in batches[0] for m in r.messages)


def test_seeds_differ_by_agent_round_problem_and_seed_but_not_by_run():
    def seeds(seed: int = 0, problem: Problem = SUM) -> list[int]:
        return [r.seed for batch in play(rounds(problem=problem, seed=seed), lambda r, i: "5")[1] for r in batch]

    other = Problem("p2", "basics", "sum", "2 + 3?", "5", "integer")
    every = seeds() + seeds(1) + seeds(problem=other)
    assert len(set(every)) == 3 * 8
    assert seeds() == seeds()


def test_the_order_is_shuffled_per_problem_and_fair():
    names = ("geo", "language", "number")
    orders = [order_of(f"p{i}", names, 0) for i in range(600)]
    assert set(orders) == set(permutations(names))
    assert all(60 <= orders.count(o) <= 140 for o in set(orders))  # 100 expected, standard deviation 9


@given(st.lists(st.text(min_size=1, max_size=5), unique=True, max_size=6), st.integers(0, 99))
def test_an_order_is_a_permutation(names: list[str], seed: int):
    assert sorted(order_of("p", names, seed)) == sorted(names)


@pytest.mark.parametrize(("team", "num_rounds"), [((), 2), ((TEAM[0], TEAM[0]), 2), (TEAM, 0)])
def test_illegal_rounds_are_refused(team: tuple[AgentPrompt, ...], num_rounds: int):
    with pytest.raises(ValueError, match="agents of different names and at least 1 round"):
        next(rounds(num_rounds, team=team))

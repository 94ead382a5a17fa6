"""The strategy consult: who is asked when, which answer is given, and that a replay says the same."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from mlpo.method.agreement import with_agreement
from mlpo.method.confidence import ConfidenceMap
from mlpo.method.consult import KeepAsking, When, consult, every_answer
from mlpo.method.consult_curve import ALWAYS, NEVER, point, replayed
from mlpo.method.consult_policy import ConsultPolicy, measuring
from mlpo.method.consult_replay import asked_together, attempts, joined, measured
from mlpo.method.metrics.evaluation import grade
from mlpo.method.strategies.baselines import solo_leader
from mlpo.method.strategies.leader_rounds import RoundRules, leader_rounds
from mlpo.types import LEADER, Completion, Message, Request, StrategyRun, Transcript
from tests.method.strategy_driver import DRAFT, ORDER, SAMPLING, SUM, TEAM

GREEDY = replace(DRAFT, entropy=True)
RULES = RoundRules(TEAM, SAMPLING, GREEDY, num_rounds=2, seed=0)
LINE = ConfidenceMap(((0.0, 1.0), (1.0, 0.0)))
"""P(right) = 1 - entropy."""
POLICY = ConsultPolicy("entropy", LINE, LINE, LINE, ask_below=0.6, again_below=0.7)
Reply = Callable[[Request, int], tuple[str, float | None]]
"""(request, number of its batch) -> text and entropy."""


def play(run: StrategyRun, reply: Reply) -> tuple[Transcript, list[list[Request]]]:
    batches = [next(run)]
    while True:
        completions = []
        for request in batches[-1]:
            text, entropy = reply(request, len(batches) - 1)
            told = entropy if request.sampling.entropy else None
            completions.append(
                Completion(request.problem_id, request.model, text, "stop", 10, 3, request.sample, entropy=told)
            )
        try:
            batches.append(run.send(completions))
        except StopIteration as end:
            transcript: Transcript = end.value
            assert sum(map(len, batches)) == len(transcript.completions)
            return transcript, batches


def answers(*drafts: tuple[str, float | None]) -> Reply:
    """What the leader answers, draft by draft, and how unsure it is; agents say 4."""
    left = list(drafts)

    def reply(request: Request, batch: int) -> tuple[str, float | None]:
        if request.model != LEADER:
            return "4", None
        answer, entropy = left.pop(0)
        return (f"<think>hm</think><answer>{answer}</answer>" if answer else "hm"), entropy

    return reply


def test_a_leader_that_is_sure_answers_alone() -> None:
    transcript, batches = play(consult(SUM, rules=RULES, policy=POLICY), answers(("5", 0.4)))
    assert [[r.model for r in batch] for batch in batches] == [[LEADER]]
    assert (transcript.answer, transcript.strategy, len(transcript.completions)) == ("5", "consult", 1)
    assert transcript.rounds[0].proposals == ()


@pytest.mark.parametrize(
    ("drafts", "keep_asking", "num_rounds", "answer"),
    [
        ([("7", 0.5), ("5", 0.3)], "while_unsure", 1, "5"),  # P .5 < .6 asks; .7 is not below .7
        ([("7", 0.5), ("5", 0.31), ("6", 0.2)], "while_unsure", 2, "6"),
        ([("7", 0.5), ("5", 0.31), ("6", 0.32)], "while_unsure", 2, "5"),  # the surest is given
        ([("7", 0.41), ("5", 0.45), ("6", 0.5)], "while_unsure", 2, "7"),  # though it was not sure enough
        ([("7", 0.5), ("5", 0.1), ("6", 0.2)], "always", 2, "5"),  # goes on though it is sure
        ([("7", 0.5), ("5", 0.5), ("6", 0.5)], "always", 2, "6"),  # of equals the latest
        ([("", 0.0), ("5", 0.9), ("", 0.0)], "always", 2, "5"),  # no answer is never sure
        ([("7", None), ("5", None), ("6", None)], "while_unsure", 2, "6"),  # nor is one without a signal
    ],
)
def test_it_asks_while_it_is_unsure_and_gives_its_surest_answer(
    drafts: list[tuple[str, float | None]], keep_asking: KeepAsking, num_rounds: int, answer: str
) -> None:
    run = consult(SUM, rules=RULES, policy=POLICY, keep_asking=keep_asking)
    transcript, batches = play(run, answers(*drafts))
    expected = [[LEADER], *[list(ORDER), [LEADER]] * num_rounds]
    assert [[r.model for r in batch] for batch in batches] == expected
    assert transcript.answer == answer


def test_the_answer_alone_that_of_round_1_and_later_ones_are_judged_by_a_map_each() -> None:
    maps = [ConfidenceMap(((0.0, p),)) for p in (0.3, 0.2, 0.1)]
    policy = ConsultPolicy("entropy", *maps, ask_below=1.0, again_below=1.0)
    assert [policy.confidence(attempt, "5", 0.0) for attempt in range(5)] == [0.3, 0.2, 0.1, 0.1, 0.1]
    drafts = [("7", 0.0), ("5", 0.0), ("6", 0.0)]
    assert play(consult(SUM, rules=RULES, policy=policy), answers(*drafts))[0].answer == "7"
    always = consult(SUM, rules=RULES, policy=policy, when="always", keep_asking="while_unsure")
    assert play(always, answers(*drafts[1:]))[0].answer == "5"
    later_is_surer = replace(policy, later=ConfidenceMap(((0.0, 0.25),)))
    always = consult(SUM, rules=RULES, policy=later_is_surer, when="always", keep_asking="while_unsure")
    assert play(always, answers(*drafts[1:]))[0].answer == "6"


def test_where_the_team_is_always_asked_it_is_asked_again_only_while_unsure() -> None:
    run = consult(SUM, rules=RULES, policy=POLICY, when="always", keep_asking="while_unsure")
    transcript, batches = play(run, answers(("5", 0.2)))
    assert [[r.model for r in batch] for batch in batches] == [list(ORDER), [LEADER]]
    assert (transcript.answer, len(transcript.rounds)) == ("5", 1)


EXAMPLES = (Message("user", "1 + 1?"), Message("assistant", "<think>2</think><answer>2</answer>"))


@pytest.mark.parametrize("policy", [None, POLICY, replace(POLICY, num_samples=3)])
@pytest.mark.parametrize("early_stop", [False, True])
def test_always_is_the_leaders_rounds(policy: ConsultPolicy | None, early_stop: bool) -> None:
    rules = replace(RULES, num_rounds=3, early_stop=early_stop, examples=EXAMPLES, lenient=True, share="answer")
    mine = consult(SUM, rules=rules, policy=policy, when="always", name="leader")
    theirs = leader_rounds(
        SUM,
        team=TEAM,
        sampling=SAMPLING,
        leader_sampling=GREEDY,
        num_rounds=3,
        share="answer",
        early_stop=early_stop,
        seed=0,
        examples=EXAMPLES,
        lenient=True,
    )
    drafts = [("4", 0.1), ("4", 0.9), ("", 0.9)]  # the agents agree with 4, so it may stop after two rounds
    expected = play(theirs, answers(*drafts))
    assert play(mine, answers(*drafts)) == expected
    assert (expected[0].answer, len(expected[1])) == (("4", 4) if early_stop else (None, 6))


@pytest.mark.parametrize("policy", [None, POLICY, replace(POLICY, num_samples=3)])
def test_never_is_the_leader_alone(policy: ConsultPolicy | None) -> None:
    mine = consult(SUM, rules=RULES, policy=policy, when="never", name="leader_solo", solo_examples=EXAMPLES)
    theirs = solo_leader(SUM, leader_sampling=GREEDY, seed=0, examples=EXAMPLES)
    assert play(mine, answers(("5", 0.9))) == play(theirs, answers(("5", 0.9)))


def test_the_rounds_it_plays_are_those_of_the_leader_who_always_asks() -> None:
    # equal requests: what a cache holds of one serves the other
    drafts = [("7", 0.9), ("8", 0.9), ("5", 0.9)]
    _, mine = play(consult(SUM, rules=RULES, policy=POLICY), answers(*drafts))
    _, always = play(consult(SUM, rules=RULES, when="always"), answers(*drafts[1:]))
    _, alone = play(consult(SUM, rules=RULES, when="never"), answers(*drafts[:1]))
    assert mine == [*alone, *always]


def test_agreement_of_further_samples_is_asked_for_beside_each_answer() -> None:
    rising = ConfidenceMap(((0.0, 0.0), (1.0, 1.0)))
    policy = ConsultPolicy("agreement", rising, rising, rising, ask_below=0.6, again_below=0.6, num_samples=2)
    # alone 5, then 5 and 7: agreement 1/2 asks; the draft 6, then 6 and 6: sure
    run = consult(SUM, rules=RULES, policy=policy, keep_asking="while_unsure")
    transcript, batches = play(run, answers(*[(answer, None) for answer in "557666"]))
    assert [len(batch) for batch in batches] == [3, 3, 3]
    assert [r.sample for r in batches[0]] == [0, 1, 2]
    assert [r.sampling.temperature for r in batches[0]] == [0.0, 0.7, 0.7]
    assert len({r.seed for r in batches[0]}) == 3
    assert (transcript.answer, len(transcript.extra)) == ("6", 4)
    trail = measured(grade(transcript, SUM), "agreement")
    assert [(m.signal, m.correct, m.generations) for m in trail] == [(0.5, True, 3), (1.0, False, 6)]


def test_what_agents_are_asked_again_is_paid_for_in_its_round() -> None:
    # how sure each agent is: 3 samples of each of 3 agents; the leader draws 2 further samples of each answer
    run = with_agreement(consult(SUM, rules=RULES, policy=measuring(2)), SUM, 3)
    transcript, _ = play(run, answers(*[("5", None)] * 9))
    trail = measured(grade(transcript, SUM), "agreement")
    assert [m.generations for m in trail] == [3, 12, 12]
    assert sum(m.tokens for m in trail) == 13 * len(transcript.completions)
    assert [m.signal for m in trail] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(("when", "keep_asking"), [("unsure", "always"), ("always", "while_unsure")])
def test_who_is_to_be_unsure_needs_a_policy(when: When, keep_asking: KeepAsking) -> None:
    with pytest.raises(ValueError, match="needs a policy that says when it is"):
        next(consult(SUM, rules=RULES, when=when, keep_asking=keep_asking))


def test_a_replay_says_what_the_strategy_does() -> None:
    rng = random.Random(0)
    for _ in range(200):
        drafts = [(rng.choice(["5", "5", "7", ""]), round(rng.random(), 1)) for _ in range(4)]
        rules = replace(RULES, num_rounds=3)
        whole, _ = play(consult(SUM, rules=rules, policy=measuring()), answers(*drafts))
        policy = replace(POLICY, ask_below=rng.random(), again_below=rng.choice([NEVER, rng.random(), ALWAYS]))
        played, _ = play(consult(SUM, rules=rules, policy=policy, keep_asking="while_unsure"), answers(*drafts))
        trail = attempts(measured(grade(whole, SUM)), policy)
        outcome = replayed(trail, policy.ask_below, policy.again_below)
        tokens = sum(c.prompt_tokens + c.completion_tokens for c in played.completions)
        expected = (grade(played, SUM).correct, len(played.rounds) > 1, len(played.completions), tokens)
        assert tuple(outcome) == expected


def test_a_solo_run_and_a_teams_rounds_make_the_trail_of_one_strategy() -> None:
    drafts = [("7", 0.8), ("5", 0.4), ("6", 0.6)]
    whole, _ = play(consult(SUM, rules=RULES, policy=measuring()), answers(*drafts))
    alone, _ = play(solo_leader(SUM, leader_sampling=GREEDY, seed=0), answers(*drafts[:1]))
    team, _ = play(consult(SUM, rules=RULES, when="always", name="leader"), answers(*drafts[1:]))
    trail = measured(joined(grade(alone, SUM), grade(team, SUM)))
    assert trail == measured(grade(whole, SUM))
    # a completion costs 13 tokens, a round has 4
    assert [tuple(m)[:5] for m in trail] == [
        (0.8, True, False, 13, 1),
        (0.4, True, True, 52, 4),
        (0.6, True, False, 52, 4),
    ]
    assert point([attempts(trail, POLICY)], 0.6, 0.5).accuracy == 1.0
    with pytest.raises(ValueError, match="solo run and its rounds on one problem, got leader on p1"):
        joined(grade(team, SUM), grade(alone, SUM))


SURE_RULES = replace(RULES, num_rounds=1, sampling={name: replace(s, entropy=True) for name, s in SAMPLING.items()})
"""Agents tell how sure they are."""
BY_AGENT = replace(POLICY, partial=(LINE, LINE))


def one_by_one(policy: ConsultPolicy, num_rounds: int = 1, **changed: Any) -> StrategyRun:
    rules = replace(SURE_RULES, num_rounds=num_rounds)
    return consult(SUM, rules=rules, policy=policy, keep_asking="while_unsure", one_by_one=True, **changed)


def told(drafts: Sequence[tuple[str, float | None]], *doubts: float | None) -> Reply:
    """What the leader answers, draft by draft; how unsure the agents are, in the order asked, round by round."""
    of_leader, left = answers(*drafts), list(doubts)

    def reply(request: Request, batch: int) -> tuple[str, float | None]:
        return of_leader(request, batch) if request.model == LEADER else (f"4 from {request.model}", left.pop(0))

    return reply


@pytest.mark.parametrize(
    ("alone", "doubts", "later", "answer"),
    [
        (0.2, [], False, "7"),
        (0.9, [0.2], False, "5"),
        (0.9, [0.6, 0.3], False, "5"),
        (0.9, [0.9, 0.8, 0.9], False, "5"),  # nobody is sure, and all are asked
        (0.5, [0.9, 0.8, 0.9], False, "7"),  # the answer alone is surer than what anybody said
        (0.9, [None, None, None], False, "5"),  # agents that do not tell are all asked
        (0.9, [0.9, 0.6, 0.9, 0.1, 0.1, 0.1], True, "6"),  # and then all of them again: of later rounds the draft tells
    ],
)
def test_agents_are_asked_one_by_one_until_one_of_them_is_sure(
    alone: float, doubts: list[float | None], later: bool, answer: str
) -> None:
    drafts = [("7", alone), ("5", 0.99 if doubts != [None] * 3 else 0.3), ("6", 0.1)]
    transcript, batches = play(one_by_one(BY_AGENT, num_rounds=1 + later), told(drafts, *doubts))
    first = doubts[: len(ORDER)]
    expected = [[LEADER], *([name] for name in ORDER[: len(first)]), *([[LEADER]] if first else [])]
    expected += [list(ORDER), [LEADER]] if later else []
    assert [[r.model for r in batch] for batch in batches] == expected
    assert transcript.answer == answer
    if first:  # one draft, from all that was said until then, the surest first
        [draft] = batches[1 + len(first)]
        shown = [line.split(" (")[0].split(":")[0] for line in draft.messages[-1].content.splitlines()[1:]]
        assert sorted(shown) == sorted(ORDER[: len(first)])
        assert transcript.rounds[1].proposals[0].entropy == min((d for d in first if d is not None), default=None)
        assert len(transcript.rounds) == 2 + later


def test_who_was_asked_one_by_one_is_asked_as_by_one_who_asks_all_at_once() -> None:
    # so a cache that holds the one serves the other
    drafts = [("7", 0.9)] * 6
    rules = replace(SURE_RULES, num_rounds=2)
    each, batches = play(every_answer(SUM, rules=rules), told(drafts, *[0.9] * 6))
    never_sure = replace(measuring(), partial=(measuring().first,) * 2)
    _, played = play(one_by_one(never_sure, num_rounds=2), told(drafts, *[0.9] * 6))
    together, whole = play(
        consult(SUM, rules=rules, policy=measuring(), keep_asking="while_unsure"), told(drafts, *[0.9] * 6)
    )
    assert [r for b in batches[1:6:2] for r in b] == [r for b in played[1:4] for r in b] == whole[1]
    assert [batches[0], *batches[6:]] == [played[0], *played[4:]] == [whole[0], *whole[2:]]
    merged = asked_together(each, 2)
    assert merged == together
    assert measured(grade(merged, SUM)) == measured(grade(together, SUM))


def test_a_replay_says_what_asking_one_by_one_does() -> None:
    rng = random.Random(1)
    maps = tuple(ConfidenceMap(((0.0, top), (1.0, 0.0))) for top in (0.9, 0.8))
    for _ in range(300):
        drafts = [(rng.choice(["5", "5", "7", ""]), round(rng.random(), 1)) for _ in range(5)]
        doubts = [rng.choice([None, round(rng.random(), 1), round(rng.random(), 1)]) for _ in range(6)]
        rules = replace(SURE_RULES, num_rounds=2)
        whole, _ = play(every_answer(SUM, rules=rules), told(drafts, *doubts))
        policy = replace(
            POLICY, partial=maps, ask_below=rng.random(), again_below=rng.choice([NEVER, rng.random(), ALWAYS])
        )
        trail = attempts(measured(grade(whole, SUM), num_partial=2), policy)
        outcome = replayed(trail, policy.ask_below, policy.again_below)
        reply = by_place(drafts, doubts)
        played, _ = play(one_by_one(policy, num_rounds=2), reply)
        tokens = sum(c.prompt_tokens + c.completion_tokens for c in played.completions)
        expected = (grade(played, SUM).correct, len(played.rounds) > 1, len(played.completions), tokens)
        assert tuple(outcome) == expected


def by_place(drafts: Sequence[tuple[str, float | None]], doubts: Sequence[float | None]) -> Reply:
    """As `told` answers `every_answer`: the draft after k agents is draft k, whoever was asked before."""
    agents = told([], *doubts)
    num_rounds = 0

    def reply(request: Request, batch: int) -> tuple[str, float | None]:
        nonlocal num_rounds
        if request.model != LEADER:
            return agents(request, batch)
        num_heard = len(request.messages[-1].content.splitlines()) - 1
        num_rounds += num_heard == len(ORDER)
        return answers(drafts[num_heard + max(num_rounds - 1, 0)])(request, batch)

    return reply


def test_each_number_of_agents_has_its_own_map() -> None:
    maps = [ConfidenceMap(((0.0, p),)) for p in (0.1, 0.4, 0.5, 0.2, 0.3)]
    alone, one, two, first, later = maps
    policy = ConsultPolicy("entropy", alone, first, later, 1.0, 0.45, partial=(one, two))
    assert [policy.confidence(n, "5", 0.0) for n in range(7)] == [0.1, 0.4, 0.5, 0.2, 0.3, 0.3, 0.3]
    assert list(policy.maps.items()) == list(zip(("alone", "1 agent", "2 agents", "first", "later"), maps, strict=True))
    for when in ("unsure", "always"):  # the draft after two agents is judged by their map, whatever was made before
        drafts = [("1", 0.0), ("3", 0.0)][when == "always" :]
        transcript, _ = play(one_by_one(policy, when=when), told(drafts, *[0.0] * 3))
        assert (transcript.answer, len(transcript.rounds[-1].proposals)) == ("3", 2)


@pytest.mark.parametrize("when", ["always", "never"])
def test_nobody_is_asked_one_by_one_by_a_leader_that_stops_at_nothing(when: When) -> None:
    with pytest.raises(ValueError, match="one by one only by a leader that stops where it is sure"):
        next(consult(SUM, rules=RULES, policy=POLICY, when=when, one_by_one=True))


def test_how_sure_the_surest_agent_is_tells_of_the_first_round_and_the_draft_of_later_ones() -> None:
    rules = replace(SURE_RULES, num_rounds=2)
    drafts = [("7", 0.9), ("5", 0.8), ("6", 0.7)]
    transcript, _ = play(consult(SUM, rules=rules, policy=measuring()), told(drafts, 0.5, 0.3, None, 0.1, 0.1, 0.1))
    assert [m.signal for m in measured(grade(transcript, SUM))] == [0.9, 0.3, 0.7]
    # so of an answer alone and a draft that is no surer, the one after a sure agent is given
    sure = play(consult(SUM, rules=SURE_RULES, policy=POLICY), told(drafts, 0.5, 0.05, None))[0]
    assert sure.answer == "5"


def test_a_policy_comes_back_from_json_and_what_is_none_is_refused() -> None:
    policy = replace(POLICY, basis={"n": 120}, partial=(LINE,))
    document = policy.to_json()
    assert ConsultPolicy.from_json(document) == policy
    older = {k: v for k, v in document.items() if k != "partial"}  # of a version registered before there were any
    assert ConsultPolicy.from_json(older) == replace(policy, partial=())
    with pytest.raises(ValueError, match="not a policy for asking the team: KeyError 'maps'"):
        ConsultPolicy.from_json({k: v for k, v in document.items() if k != "maps"})
    with pytest.raises(ValueError, match="neither entropy nor agreement"):
        ConsultPolicy.from_json(document | {"signal": "mood"})
    with pytest.raises(ValueError, match="knots by rising signal"):
        ConsultPolicy.from_json(document | {"maps": document["maps"] | {"alone": [[0, 2]]}})

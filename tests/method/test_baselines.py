"""The rivals that train nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpo.method.prompts import AgentPrompt, solo_messages
from mlpo.method.strategies.baselines import (
    majority_vote,
    oracle_any,
    self_consistency,
    single_agent,
    solo_leader,
    vote,
    weighted_vote,
)
from mlpo.method.strategies.leader_rounds import leader_rounds, order_of
from mlpo.types import LEADER, Completion, Message, Problem, Request, Sampling, StrategyRun, Transcript

SUM = Problem("p1", "basics", "sum", "2 + 3?", "5", "integer")
TEAM = tuple(AgentPrompt(name, f"I am {name}.") for name in ("geo", "language", "number"))
SAMPLING = {agent.name: Sampling(temperature=0.7, max_tokens=12) for agent in TEAM}
DRAFT = Sampling(temperature=1.0, max_tokens=40)


def finish(run: StrategyRun, texts: Mapping[str, str] | list[str]) -> tuple[Transcript, list[Request]]:
    """Answer a strategy's only batch, by model name or in the order asked."""
    requests = next(run)
    replies = [texts[r.model] for r in requests] if isinstance(texts, Mapping) else texts
    pairs = zip(requests, replies, strict=True)
    with pytest.raises(StopIteration) as end:
        run.send([Completion(r.problem_id, r.model, text, "stop", 10, 3, r.sample) for r, text in pairs])
    return end.value.value, requests


def voted(texts: Mapping[str, str], problem: Problem = SUM, seed: int = 0) -> Transcript:
    return finish(majority_vote(problem, team=TEAM, sampling=SAMPLING, seed=seed), texts)[0]


def test_one_agent_alone():
    transcript, requests = finish(single_agent(SUM, agent=TEAM[1], sampling=SAMPLING["language"], seed=0), ["= 5"])
    assert (transcript.strategy, transcript.answer) == ("single:language", "5")
    assert [r.model for r in requests] == ["language"]


def test_the_most_frequent_answer_wins_whatever_its_spelling():
    assert voted({"geo": "5", "language": "The sum is 5.", "number": "6"}).answer == "5"


def test_no_answer_never_votes():
    assert voted({"geo": "hm", "language": "eh", "number": "6"}).answer == "6"
    assert voted({"geo": "hm", "language": "eh", "number": "5 or 6"}).answer is None


def test_a_tie_goes_by_the_seeded_order_and_not_by_the_target():
    # Three different answers, one of them right: over many problems each agent breaks the tie a third of the time.
    winners: Counter[str | None] = Counter()
    for i in range(600):
        problem = Problem(f"p{i}", "basics", "sum", "2 + 3?", "5", "integer")
        answer = voted({"geo": "5", "language": "6", "number": "7"}, problem).answer
        first = order_of(problem.id, ("geo", "language", "number"), 0)[0]
        assert answer == {"geo": "5", "language": "6", "number": "7"}[first]
        winners[answer] += 1
    assert all(150 <= winners[a] <= 250 for a in ("5", "6", "7"))  # 200 expected, standard deviation 12


@given(st.lists(st.sampled_from(["a", "b", "c", None]), max_size=9))
def test_a_vote_is_won_by_nobody_rarer(answers: list[str | None]):
    winner = vote(answers)
    counts = Counter(a for a in answers if a is not None)
    assert (winner is None) == (not counts)
    assert winner is None or counts[winner] == max(counts.values())


def test_a_voice_weighs_what_its_agent_is_sure_of() -> None:
    # exp(-0.1) = .90 against exp(-1) + exp(-0.8) = .37 + .45 = .82, then against exp(-0.5) + exp(-0.8) = .61 + .45
    for first, right in ((1.0, "5"), (0.5, "6")):
        run = weighted_vote(SUM, team=TEAM, sampling=SAMPLING, seed=0)
        said = {"geo": ("6", first), "language": ("6", 0.8), "number": ("5", 0.1)}
        replies = [
            Completion(SUM.id, r.model, said[r.model][0], "stop", 10, 3, entropy=said[r.model][1]) for r in next(run)
        ]
        with pytest.raises(StopIteration) as end:
            run.send(replies)
        assert (end.value.value.strategy, end.value.value.answer) == ("weighted_vote", right)
    assert finish(weighted_vote(SUM, team=TEAM, sampling=SAMPLING, seed=0), ["no idea"] * 3)[0].answer is None


def test_round_0_asks_the_same_of_an_agent_in_every_strategy():
    rounds = leader_rounds(SUM, team=TEAM, sampling=SAMPLING, leader_sampling=DRAFT, num_rounds=2, seed=3)
    alone = [next(single_agent(SUM, agent=a, sampling=SAMPLING[a.name], seed=3))[0] for a in TEAM]
    together = next(majority_vote(SUM, team=TEAM, sampling=SAMPLING, seed=3))
    assert set(alone) == set(together) == set(next(rounds))


def test_the_leader_alone_sees_no_team():
    examples = (Message("user", "1 + 1?"), Message("assistant", "<think>a</think><answer>2</answer>"))
    run = solo_leader(SUM, leader_sampling=DRAFT, seed=0, examples=examples, name="untrained_leader_solo")
    transcript, requests = finish(run, ["<think>2 + 3</think><answer>5</answer>"])
    assert (transcript.strategy, transcript.answer) == ("untrained_leader_solo", "5")
    assert [r.model for r in requests] == [LEADER]
    system, *rest = solo_messages(SUM)
    assert requests[0].messages == (system, *examples, *rest)
    assert not transcript.rounds[0].proposals


def test_the_leader_alone_can_be_read_leniently():
    transcript, _ = finish(solo_leader(SUM, leader_sampling=DRAFT, seed=0, lenient=True), ["5"])
    assert (transcript.answer, transcript.lenient) == ("5", True)


def test_self_consistency_votes_over_different_samples():
    texts = [f"<answer>{a}</answer>" for a in ("4", "5", "no", "5")]
    transcript, requests = finish(self_consistency(SUM, num_samples=4, leader_sampling=DRAFT, seed=0), texts)
    assert transcript.answer == "5"
    assert len({r.seed for r in requests}) == 4
    assert [r.sample for r in requests] == [0, 1, 2, 3]
    assert [c.text for c in transcript.completions] == texts
    assert not transcript.lenient


def test_self_consistency_breaks_ties_by_seed_not_by_position():
    texts = ["<answer>4</answer>", "<answer>5</answer>"]
    answers = [
        finish(self_consistency(SUM, num_samples=2, leader_sampling=DRAFT, seed=seed), texts)[0].answer
        for seed in range(200)
    ]
    assert 60 <= answers.count("4") <= 140  # 100 expected, standard deviation 7


def test_self_consistency_needs_a_sample():
    with pytest.raises(ValueError, match="at least 1 sample"):
        next(self_consistency(SUM, num_samples=0, leader_sampling=DRAFT, seed=0))


def test_the_oracle_takes_any_right_proposal():
    wrong_majority = voted({"geo": "6", "language": "6", "number": "It is 5."})
    assert wrong_majority.answer == "6"
    oracle = oracle_any(wrong_majority, SUM)
    assert (oracle.strategy, oracle.answer) == ("oracle_any", "5")
    assert oracle.completions == wrong_majority.completions


def test_the_oracle_cannot_answer_what_no_agent_proposed():
    assert oracle_any(voted({"geo": "6", "language": "6", "number": "7"}), SUM).answer == "6"
    assert oracle_any(voted({"geo": "hm", "language": "hm", "number": "hm"}), SUM).answer is None

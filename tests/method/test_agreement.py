"""How sure an agent is: counted in its samples, asked for beside the first, paid for and told to the leader alone."""

from __future__ import annotations

import pytest

from mlpo.method.agreement import agreed, with_agreement
from mlpo.method.prompts import leader_messages
from mlpo.method.selection import ProposalSet
from mlpo.method.strategies.leader_rounds import leader_rounds
from mlpo.types import LEADER, Completion, StrategyRun
from tests.method.strategy_driver import DRAFT, ORDER, SAMPLING, SUM, TEAM, drive

FIVE, SIX = "It is 5.", "It is 6."
DRAFTED = {LEADER: "<think></think><answer>5</answer>"}


def rounds(num_rounds: int = 1) -> StrategyRun:
    return leader_rounds(
        SUM, team=TEAM, sampling=SAMPLING, leader_sampling=DRAFT, num_rounds=num_rounds, seed=0,
    )  # fmt: skip


def test_the_leader_is_shown_the_first_sample_and_how_many_agree_with_it() -> None:
    said = [FIVE, FIVE, SIX, SIX, FIVE, FIVE, "!", FIVE, FIVE]  # three of each agent, in the team's order
    transcript, asked = drive(with_agreement(rounds(), SUM, 3), said, DRAFTED)
    first, second, third = ORDER
    told = asked[1][0].messages[-1].content.splitlines()[1:]
    assert told == [f"{first} (2 of 3): {FIVE}", f"{second} (1 of 3): {SIX}", f"{third} (0 of 3): (no answer)"]
    assert [c.agreement for c in transcript.rounds[0].proposals] == [(2, 3), (1, 3), (0, 3)]
    assert len(transcript.extra) == 6


def test_every_sample_has_a_seed_of_its_own_and_the_first_is_asked_as_ever() -> None:
    alone = drive(rounds(2), [FIVE] * 3, DRAFTED, [FIVE] * 3, DRAFTED)[1]
    asked = drive(with_agreement(rounds(2), SUM, 3), [FIVE] * 9, DRAFTED, [FIVE] * 9, DRAFTED)[1]
    for batch, before in ((asked[0], alone[0]), (asked[2], alone[2])):
        assert batch[::3] == before
        assert [r.sample for r in batch] == [0, 1, 2] * 3
        assert len({r.seed for r in batch}) == 9
        assert all(batch[i].messages == batch[i - i % 3].messages for i in range(9))
    assert len(asked[1]) == len(asked[3]) == 1  # the leader drafts once


def test_with_one_sample_nothing_is_told() -> None:
    with_one = drive(with_agreement(rounds(), SUM, 1), [FIVE] * 3, DRAFTED)
    assert with_one == drive(rounds(), [FIVE] * 3, DRAFTED)


def test_a_training_proposal_agrees_with_the_others_of_its_agent() -> None:
    said = {
        "geo": tuple(Completion("p1", "geo", text, "stop", 1, 1, k) for k, text in enumerate((FIVE, SIX, FIVE))),
        "language": (Completion("p1", "language", "who knows", "stop", 1, 1),),
    }
    sure = agreed(ProposalSet(SUM, said, {"geo": (True, False, True), "language": (False,)}))
    assert [c.agreement for c in sure.proposals["geo"]] == [(2, 3), (1, 3), (2, 3)]
    assert [c.agreement for c in sure.proposals["language"]] == [(0, 1)]
    assert "geo (2 of 3): It is 5." in leader_messages(SUM, sure.proposals["geo"][:1])[-1].content


@pytest.mark.parametrize("share", ["reasoning", "answer"])
def test_what_is_shown_of_a_proposal_keeps_its_agreement(share: str) -> None:
    said = {"geo": (Completion("p1", "geo", FIVE, "stop", 1, 1),)}
    (seen,) = agreed(ProposalSet(SUM, said, {"geo": (True,)})).shown(share).proposals["geo"]  # type: ignore[arg-type]
    assert (seen.text, seen.agreement) == ({"reasoning": FIVE, "answer": "5"}[share], (1, 1))

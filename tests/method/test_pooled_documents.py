"""The leader alone with everybody's documents."""

from __future__ import annotations

from mlpo.method.pooled_documents import pooled_documents, pooled_passages
from mlpo.method.prompts import AgentPrompt, solo_messages
from mlpo.types import Message, Passage
from tests.method.strategy_driver import DRAFT, SUM, drive

FIVE, SIX, ONE = Passage("2 + 3 is 5.", "a"), Passage("2 + 4 is 6.", "a"), Passage("0 + 1 is 1.", "b")


def holds(name: str, *passages: Passage, question: str = SUM.question) -> AgentPrompt:
    return AgentPrompt(name, "", (), lambda asked: passages if asked == question else ())


def test_the_leader_sees_every_agents_passages_and_no_proposal() -> None:
    team = (holds("geo", FIVE), holds("number", SIX), holds("idle"))
    transcript, [[request]] = drive(
        pooled_documents(SUM, team=team, leader_sampling=DRAFT, seed=0), ["<answer>5</answer>"]
    )
    assert (transcript.strategy, transcript.answer) == ("pooled_documents", "5")
    assert request.messages[0] == solo_messages(SUM)[0]
    assert request.messages[1] == Message("user", "Note: 2 + 3 is 5.\nNote: 2 + 4 is 6.\n2 + 3?")
    assert request.passages == (FIVE, SIX)


def test_a_passage_of_two_agents_stands_once() -> None:
    team = (holds("geo", FIVE, SIX), holds("number", Passage(FIVE.text, "elsewhere"), ONE))
    assert pooled_passages(SUM.question, team) == (FIVE, SIX, ONE)


def test_worked_examples_are_shown_with_their_passages_too() -> None:
    team = (holds("geo", ONE, question="0 + 1?"),)
    examples = (Message("user", "0 + 1?"), Message("assistant", "<answer>1</answer>"))
    run = pooled_documents(SUM, team=team, leader_sampling=DRAFT, seed=0, examples=examples, lenient=True, name="mine")
    transcript, [[request]] = drive(run, ["so\n5"])
    assert [m.content for m in request.messages[1:]] == ["Note: 0 + 1 is 1.\n0 + 1?", "<answer>1</answer>", "2 + 3?"]
    assert (transcript.strategy, transcript.answer, transcript.lenient) == ("mine", "5", True)

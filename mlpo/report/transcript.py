"""One transcript as a few lines of Markdown: who said what in which round, and what was read in it."""

from __future__ import annotations

from mlpo.method.answers import agent_answer
from mlpo.method.metrics.evaluation import Graded
from mlpo.method.prompts import speaker
from mlpo.types import Completion, Problem


def transcript_markdown(graded: Graded) -> str:
    """The question, each round's proposals and draft, what else was asked, and the answer.

    Texts are untrusted: each is one line of printable characters inside a code span, so it can neither end the list nor
    reach the terminal's controls.
    """
    problem, transcript = graded.problem, graded.transcript
    lines = [f"**{one_line(problem.question)}** (right: {one_line(problem.target)})", ""]
    for number, held in enumerate(transcript.rounds):
        lines += [f"- round {number}"]
        for proposal in held.proposals:
            lines += [f"    - {speaker(proposal)}: {_said(proposal)}, read as {_read(proposal, problem)}"]
            lines += [f"        - had looked up: {_code(passage.text)}" for passage in proposal.passages]
        lines += [f"    - leader: {_said(held.draft)}"] if held.draft else []
        lines += [f"    - answer so far: {one_line(held.answer or 'none')}"]
    lines += (
        ["- asked besides", *(f"    - {c.model}: {_said(c)}" for c in transcript.extra)] if transcript.extra else []
    )
    tokens = sum(c.tokens for c in transcript.completions)
    cost = f"{len(transcript.completions)} generations, {tokens} tokens"
    answer = f"{one_line(transcript.answer or 'no answer')}, {'right' if graded.correct else 'wrong'}"
    return "\n".join([*lines, f"- {transcript.strategy}: {answer}; {cost}"])


def one_line(text: str) -> str:
    """Printable characters of a text, with single spaces for every run of white space."""
    return " ".join("".join(c for c in word if c.isprintable()) for word in text.split())


def _said(completion: Completion) -> str:
    return _code(completion.text or completion.error) or "nothing"


def _code(text: str) -> str:
    line = one_line(text).replace("`", "'")
    return f"`{line}`" if line else ""


def _read(completion: Completion, problem: Problem) -> str:
    return one_line(agent_answer(completion, problem) or "no answer")

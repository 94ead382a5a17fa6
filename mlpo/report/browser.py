"""The page's browser of transcripts: what each strategy did for each problem, as data that a script shows.

{"problems": [[question, target, family], ...],
 "texts": [[model, [[kind, text], ...], read as, how it ended, [passage, ...]], ...],   said once, however many heard it
 "strategies": [{"name", "label", "cases": [[problem, answer, [mark, ...], [round, ...], [extra text, ...]], ...]}]}
round = [[proposal text, ...], draft text or -1, answer, right?]       problems and texts are named by their number
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from mlpo.method.answers import agent_answer
from mlpo.method.metrics.evaluation import Graded
from mlpo.method.prompts import speaker
from mlpo.report.rows import in_reading_order, strategy_label
from mlpo.types import LEADER, Completion, Round

MAX_CHARACTERS = 1_000_000
"""Of texts in one page; problems that come later are left out whole."""
MARKS = ("right", "wrong", "rescued", "talked out", "gave up a right draft", "no answer")
"""What a reader may filter by."""
_PARTS = re.compile(r"(?P<think><think>.*?(?:</think>|$))|(?P<answer><answer>.*?(?:</answer>|$))", re.DOTALL | re.I)
_TURN = re.compile(r"\b(?:Wait|Actually|Hmm|On second thought|However, (?:I|let)|Let me (?:re)?check)\b", re.IGNORECASE)


def choose_cases(graded: Sequence[Graded], num_cases: int) -> list[Graded]:
    """Rescued, talked out, wrong and right ones in turns, so that no kind crowds out the others."""
    kinds = [[g for g in graded if _kind(g) == kind] for kind in range(4)]
    ordered: list[Graded] = []
    while any(kinds) and len(ordered) < num_cases:
        ordered += [kind.pop(0) for kind in kinds if kind]
    return ordered[:num_cases]


def marks(graded: Graded) -> tuple[str, ...]:
    """Those of `MARKS` that fit; rescued and talked out are as in metrics.json, about the vote on round 0."""
    first = graded.transcript.rounds[0] if graded.transcript.rounds else Round()
    had_draft = first.draft is not None and graded.rounds_correct[0]
    fits = (
        graded.correct,
        not graded.correct,
        graded.correct and bool(graded.proposals_correct) and not graded.vote_correct,
        not graded.correct and graded.vote_correct,
        not graded.correct and had_draft,
        graded.transcript.answer is None,
    )
    return tuple(mark for mark, holds in zip(MARKS, fits, strict=True) if holds)


def browser_data(cases: Mapping[str, Sequence[Graded]], *, max_characters: int = MAX_CHARACTERS) -> dict[str, Any]:
    """What the script shows: problems in the order of the leader's cases, as many as fit.

    Args:
        cases: strategy -> its transcripts with their texts; a problem that the leader did not play is left out.
    """
    texts: dict[tuple[Any, ...], int] = {}
    by_problem = {name: {g.problem.id: g for g in rows} for name, rows in cases.items()}
    rows: dict[str, list[list[Any]]] = {name: [] for name in in_reading_order(cases)}
    problems: list[list[str]] = []
    for played in cases[LEADER]:
        if sum(map(_characters, texts)) > max_characters:
            break
        for name, found in rows.items():
            if played.problem.id in by_problem[name]:
                found.append([len(problems), *_case(by_problem[name][played.problem.id], texts)])
        problems.append([played.problem.question, played.problem.target, played.problem.family])
    return {
        "problems": problems,
        "texts": list(texts),
        "strategies": [{"name": n, "label": strategy_label(n), "cases": found} for n, found in rows.items() if found],
    }


def parts(text: str) -> tuple[tuple[str, str], ...]:
    """A text in pieces that join to it again: "think", "turn" (it begins to doubt itself), "answer", or ""."""
    pieces: list[tuple[str, str]] = []
    end = 0
    for found in _PARTS.finditer(text):
        pieces.append(("", text[end : found.start()]))
        pieces += _thought(found[0]) if found["think"] else [("answer", found[0])]
        end = found.end()
    return tuple((kind, piece) for kind, piece in (*pieces, ("", text[end:])) if piece)


def _thought(text: str) -> list[tuple[str, str]]:
    """Thinking, cut where it turns; a turn lasts to the end of the phrase."""
    pieces, end = [], 0
    for found in _TURN.finditer(text):
        pieces += [("think", text[end : found.start()]), ("turn", found[0])]
        end = found.end()
    return [*pieces, ("think", text[end:])]


def _case(graded: Graded, texts: dict[tuple[Any, ...], int]) -> list[Any]:
    def number(completion: Completion) -> int:
        said = parts(completion.text or completion.error)
        read = "" if completion.model == LEADER else agent_answer(completion, graded.problem) or "no answer"
        shown = tuple(passage.text for passage in completion.passages)
        who = LEADER if completion.model == LEADER else speaker(completion)
        return texts.setdefault((who, said, read, completion.finish_reason, shown), len(texts))

    transcript = graded.transcript
    rounds = [
        [[number(c) for c in held.proposals], number(held.draft) if held.draft else -1, held.answer, right]
        for held, right in zip(transcript.rounds, graded.rounds_correct, strict=True)
    ]
    return [transcript.answer, list(marks(graded)), rounds, [number(c) for c in transcript.extra]]


def _characters(text: tuple[Any, ...]) -> int:
    return sum(len(piece) for _, piece in text[1]) + sum(map(len, text[4]))


def _kind(graded: Graded) -> int:
    found = marks(graded)
    return 0 if "rescued" in found else 1 if "talked out" in found else 2 if "wrong" in found else 3

"""Demonstrations are made of the models' own words, verified, and the same for the same seed."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import pytest

from mlpo.equivalence import is_equivalent
from mlpo.method.answers import Equivalent, is_correct, leader_answer, parse_answer, think_of, well_formed
from mlpo.method.demonstrations import (
    TRUST_SHARES,
    Demonstrations,
    build_demonstrations,
    count_demonstrations,
)
from mlpo.method.selection import ProposalSet
from mlpo.types import Completion, Problem

PROBLEMS = {
    f"p{i}": Problem(f"p{i}", "basics", "sum", f"What is {i} plus 1?", str(i + 1), "integer") for i in range(12)
}


def said(model: str, problem: Problem, value: int, *, finish: str = "stop", pad: str = "") -> Completion:
    text = f"{pad}{problem.question[8:-1]} is {value}."
    return Completion(problem.id, model, text, finish, 9, 5)  # type: ignore[arg-type]


def proposals(problem: Problem, *values: int) -> ProposalSet:
    """One agent per value; a value is right if it is the problem's number plus one."""
    names = ("geo", "language", "number")
    shown = {n: (said(n, problem, v),) for n, v in zip(names, values, strict=True)}
    return ProposalSet(problem, shown, {n: (str(v) == problem.target,) for n, v in zip(names, values, strict=True)})


def build(sets: list[ProposalSet], own: dict[str, list[Completion]] | None = None, **changes: float) -> Demonstrations:
    options = {"max_demonstrations": 24, "solo_share": 0.3, "tuples_per_problem": 4, "seed": 0}
    options |= {"max_quoted_characters": 240} | changes
    return build_demonstrations(sets, own or {}, **options)  # type: ignore[arg-type]


def mixed() -> tuple[list[ProposalSet], dict[str, list[Completion]]]:
    """Right majorities, right minorities and whole teams that are wrong; the leader's own samples right and wrong."""
    teams = {0: (0, 0, 9), 1: (0, 9, 8), 2: (9, 8, 7)}
    sets = []
    for i, problem in enumerate(PROBLEMS.values()):
        sets.append(proposals(problem, *(int(problem.target) + 10 * v for v in teams[i % 3])))
    own = {p.id: [said("leader", p, int(p.target)), said("leader", p, int(p.target) + 1)] for p in PROBLEMS.values()}
    return sets, own


def test_every_demonstration_is_well_formed_and_right():
    built = build(*mixed())
    assert len(built.rows) == 24
    for row in built.rows:
        problem = PROBLEMS[row.problem_id]
        assert well_formed(row.completion)
        assert is_correct(parse_answer(row.completion, problem.answer_kind), problem)


def test_all_kinds_are_there_in_their_shares():
    counts = Counter(row.kind for row in build(*mixed()).rows)
    assert set(counts) == {"confirm", "overrule_majority", "backtrack", "recover_alone", "solo_confirm"}
    assert counts["solo_confirm"] == 7  # 0.3 * 24
    many = Counter(row.kind for row in build(*mixed(), max_demonstrations=44).rows)
    assert (many["solo_confirm"], many["solo_backtrack"]) == (12, 1)


@pytest.mark.parametrize(
    ("values", "own", "kind", "think"),
    [
        ((6, 6, 9), 6, "confirm", {"5 plus 1 is 6."}),
        ((9, 9, 6), 6, "overrule_majority", {"5 plus 1 is 6."}),
        ((9, 8, 7), 6, "recover_alone", {"5 plus 1 is 6."}),
        ((6, 6, 9), 7, "backtrack", {f"5 plus 1 is 7. Wait, {n}: 5 plus 1 is 6." for n in ("geo", "language")}),
        ((9, 9, 6), 7, "backtrack", {"5 plus 1 is 7. Wait, number: 5 plus 1 is 6."}),
    ],
)
def test_the_leader_answers_first_and_weighs_after(
    values: tuple[int, int, int], own: int, kind: str, think: set[str]
) -> None:
    problem = PROBLEMS["p5"]
    built = build([proposals(problem, *values)], {"p5": [said("leader", problem, own)]})
    (row,) = (r for r in built.rows if not r.kind.startswith("solo"))
    assert row.kind == kind
    assert row.completion in {f"<think>{words}</think><answer>6</answer>" for words in think}
    assert all(name in row.messages[-1].content for name in ("geo:", "language:", "number:"))


def test_without_a_sample_of_its_own_it_begins_with_a_proposal() -> None:
    built = build([proposals(PROBLEMS["p5"], 9, 9, 6)])
    thinking = {row.kind: row.completion.partition("</think>")[0] for row in built.rows}
    assert thinking == {
        "overrule_majority": "<think>5 plus 1 is 6.",
        "backtrack": "<think>5 plus 1 is 9. Wait, number: 5 plus 1 is 6.",
    }


def test_solo_demonstrations_have_no_team():
    built = build(*mixed(), solo_share=1.0)
    assert built.rows
    assert all(row.messages[-1].content == PROBLEMS[row.problem_id].question for row in built.rows)


def test_a_problem_nobody_solved_is_rejected_and_counted():
    built = build([proposals(PROBLEMS["p5"], 9, 8, 7)], {"p5": [said("leader", PROBLEMS["p5"], 9)]})
    assert built.rows == ()
    assert built.rejected["problem nobody solved"] == 1


@pytest.mark.parametrize(
    ("sample", "reason"),
    [
        (said("leader", PROBLEMS["p5"], 6, finish="length"), "completion cut or failed"),
        (Completion("p5", "leader", "I cannot say", "stop", 9, 5), "completion without an answer"),
        (said("leader", PROBLEMS["p5"], 6, pad="well, " * 40), "completion too long"),
    ],
)
def test_what_cannot_be_quoted_is_rejected_with_its_reason(sample: Completion, reason: str):
    built = build([proposals(PROBLEMS["p5"], 9, 8, 7)], {"p5": [sample]})
    assert built.rows == ()
    assert built.rejected[reason] == 1


def test_long_reasoning_in_several_lines_is_quoted_where_the_limit_allows_it():
    sample = Completion("p5", "leader", "Five and one.\n" * 20 + "The answer is 6.", "stop", 9, 5)
    built = build([proposals(PROBLEMS["p5"], 9, 8, 7)], {"p5": [sample]}, max_quoted_characters=1000)
    assert built.rejected == {}
    shown = {think_of(row.completion).count("Five and one.") for row in built.rows}
    assert shown == {20}
    drafts = [Completion("p5", "leader", row.completion, "stop", 9, 5) for row in built.rows]
    assert {leader_answer(draft, PROBLEMS["p5"]).answer for draft in drafts} == {"6"}


def test_the_same_seed_gives_the_same_demonstrations():
    assert build(*mixed(), seed=3) == build(*mixed(), seed=3)
    assert build(*mixed(), seed=3) != build(*mixed(), seed=4)


def test_the_counts_add_up():
    sets, own = mixed()
    built = build(sets, own)
    counts = count_demonstrations(built, PROBLEMS)
    assert counts["count"] == sum(counts["by_kind"].values()) == sum(counts["by_family"].values()) == 24
    assert set(counts["by_source"]) == {"geo", "language", "leader"}  # the number agent is never right here


def test_a_sample_in_another_form_of_the_target_is_right():
    problem = Problem("e", "math", "algebra", "Expand.", "x^2+2x+1", "expression")
    own = {"e": [Completion("e", "leader", "The answer is $(x+1)^2$.", "stop", 9, 5)]}
    told = {"geo": (Completion("e", "geo", "The answer is $7$.", "stop", 9, 5),)}
    sets = [ProposalSet(problem, told, {"geo": (False,)})]
    options = {"max_demonstrations": 8, "solo_share": 0.5, "tuples_per_problem": 2, "seed": 0}

    def build_with(equivalent: Equivalent | None) -> set[str]:
        built = build_demonstrations(sets, own, max_quoted_characters=99, equivalent=equivalent, **options)  # type: ignore[arg-type]
        return {row.kind for row in built.rows}

    assert build_with(is_equivalent) == {"recover_alone", "solo_confirm"}
    assert build_with(None) == set()


def test_where_answers_travel_they_are_all_that_is_shown_and_quoted():
    sets, own = mixed()
    built = build_demonstrations(
        sets, own, max_demonstrations=24, solo_share=0.3, tuples_per_problem=4, seed=0, max_quoted_characters=240,
        share="answer",
    )  # fmt: skip
    taught = [row for row in built.rows if row.kind == "backtrack"]
    assert taught
    for row in built.rows:
        if not row.kind.startswith("solo"):
            team = row.messages[-1].content.split("What is", 1)[1].split("?", 1)[1]
            assert "plus 1 is" not in team
    assert all(re.search(r"Wait, (geo|language|number): \d+</think>", row.completion) for row in taught)


def test_a_proposal_that_stands_in_several_tuples_is_rejected_once():
    problem = PROBLEMS["p0"]
    cut = said("geo", problem, 1, finish="length")
    others = tuple(said("number", problem, value) for value in (1, 2, 3, 4))
    sets = [ProposalSet(problem, {"geo": (cut,), "number": others}, {"geo": (True,), "number": (True, *[False] * 3)})]
    assert build(sets).rejected["completion cut or failed"] == 1


NOUNS = {"army": "armies", "artist": "artists", "city": "cities", "fox": "foxes", "leaf": "leaves", "ox": "oxen"}
PLURALS = {
    noun: Problem(noun, "basics", "plural", f"What is the plural of {noun}?", plural, "word")
    for noun, plural in NOUNS.items()
}


def plural(model: str, asked: str, noun: str, answer: str | None = None) -> Completion:
    """`model`, asked for one noun, speaks of another."""
    text = f"The plural of {noun} is {answer or NOUNS[noun]}."
    return Completion(asked, model, text, "stop", 9, 5)


def spoken(asked: str, *said_of: Completion) -> ProposalSet:
    right = f"The plural of {asked} is {NOUNS[asked]}."
    by_agent = {c.model: (c,) for c in said_of}
    return ProposalSet(PLURALS[asked], by_agent, {c.model: (c.text == right,) for c in said_of})


def trusted(sets: list[ProposalSet], own: dict[str, list[Completion]] | None = None) -> dict[str, set[str]]:
    """Kind -> think texts, where a demonstration with a team says who speaks of the question."""
    told: dict[str, set[str]] = {}
    for row in build(sets, own, trust_share=1.0, solo_share=0.0).rows:
        if row.kind in TRUST_SHARES:
            told.setdefault(row.kind, set()).add(think_of(row.completion))
    return told


def rest(*but: str) -> list[ProposalSet]:
    """Other questions, which nobody answers: they are counted with the one that matters."""
    silent = {noun: Completion(noun, "alpha", "", "error", 0, 0) for noun in NOUNS if noun not in but}
    return [ProposalSet(PLURALS[noun], {"alpha": (c,)}, {"alpha": (False,)}) for noun, c in silent.items()]


def test_who_speaks_of_the_question_is_trusted_and_who_stands_before_is_not() -> None:
    names = ("alpha", "beta", "gamma")
    asked = [spoken("army", *(plural(n, "army", "army" if n == "beta" else "artist") for n in names))]
    built = build(asked + rest("army"), trust_share=1.0, solo_share=0.0)
    (row,) = (r for r in built.rows if r.kind in TRUST_SHARES)
    first = re.findall(r"^(\w+): The", row.messages[-1].content, re.MULTILINE)[0]
    passed = "" if first == "beta" else f"{first} speaks of artist, not of army. "
    assert row.kind == "trust"
    assert row.completion == (
        f"<think>{passed}beta speaks of army: The plural of army is armies.</think><answer>armies</answer>"
    )
    assert row.sources == ("beta",)


def test_every_order_of_the_team_names_the_first_only_if_it_speaks_of_something_else() -> None:
    sets = [
        spoken(noun, plural("alpha", noun, noun), plural("beta", noun, "fox" if noun != "fox" else "ox"))
        for noun in NOUNS
    ]
    built = build(sets, trust_share=1.0, solo_share=0.0)
    rows = [row for row in built.rows if row.kind == "trust"]
    assert len(rows) == len(NOUNS)
    starts = {re.findall(r"^(\w+): The", r.messages[-1].content, re.MULTILINE)[0]: r for r in rows}
    assert set(starts) == {"alpha", "beta"}
    assert think_of(starts["alpha"].completion).startswith("alpha speaks of ")
    assert ", not of " in think_of(starts["beta"].completion)


def test_where_nobody_speaks_of_the_question_the_leader_answers_in_its_own_words() -> None:
    asked = [spoken("army", plural("alpha", "army", "artist"), plural("beta", "army", "ox"))]
    own = {"army": [plural("leader", "army", "army", "armys"), plural("leader", "army", "army")]}
    assert trusted(asked + rest("army"), own) == {"nobody": {"No one speaks of army. The plural of army is armies."}}
    assert trusted(asked + rest("army"), {"army": own["army"][:1]}) == {}  # it does not know it either


@pytest.mark.parametrize(
    "said_of",
    [
        (plural("alpha", "army", "army"), plural("beta", "army", "army", "armys")),  # one of two is wrong
        (plural("alpha", "army", "army", "armys"), plural("beta", "army", "artist")),  # the only one is wrong
        (plural("alpha", "army", "army"), plural("beta", "army", "army")),  # all speak of it: nothing to tell apart
    ],
)
def test_where_to_speak_of_the_question_is_no_reason_it_is_not_given_as_one(
    said_of: tuple[Completion, Completion],
) -> None:
    own = {"army": [plural("leader", "army", "army")]}
    assert trusted([spoken("army", *said_of), *rest("army")], own) == {}


def sure(completion: Completion, entropy: float) -> Completion:
    return replace(completion, entropy=entropy)


def test_of_several_who_speak_of_the_question_the_surest_is_trusted_if_it_is_right() -> None:
    right, wrong = plural("alpha", "army", "army"), plural("beta", "army", "army", "armys")
    chosen = trusted([spoken("army", sure(right, 0.1), sure(wrong, 0.4)), *rest("army")])
    assert chosen == {"trust": {"alpha is surest of army: The plural of army is armies."}}
    assert trusted([spoken("army", sure(right, 0.4), sure(wrong, 0.1)), *rest("army")]) == {}
    other = sure(plural("beta", "army", "artist"), 0.0)  # surer, of something else
    (alone,) = trusted([spoken("army", sure(right, 0.4), other), *rest("army")])["trust"]
    assert alone.endswith("alpha speaks of army: The plural of army is armies.")


def test_the_share_of_those_that_say_who_speaks_is_met() -> None:
    sets = [
        spoken(noun, plural("alpha", noun, noun), plural("beta", noun, "fox" if noun != "fox" else "ox"))
        for noun in NOUNS
    ]
    own = {noun: [plural("leader", noun, noun)] for noun in NOUNS}
    counts = Counter(r.kind for r in build(sets, own, trust_share=0.5, solo_share=0.0, max_demonstrations=6).rows)
    assert counts == {"trust": 3, "overrule_majority": 3}
    assert build(sets, own, trust_share=0.0).rows == build(sets, own).rows

"""BBH: every sub-task's form of answer is read, and the rows rebuilt from BIG-bench are right and complete."""

from __future__ import annotations

import importlib.util
import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlpo.benchmarks import bbh
from mlpo.benchmarks.rebuilt import GENERATORS, rebuilt_rows
from mlpo.benchmarks.sources import package_folder
from mlpo.config import ConfigError, PrepareConfig
from mlpo.method.answers import is_correct, parse_answer, parse_plain
from mlpo.types import Problem

OPTIONS = "Which?\nOptions:\n" + "\n".join(
    f"({letter}) thing {letter.lower()}{n}" for n, letter in enumerate("ABCDEFGHIJKLMNOPQR")
)
FORMS = {
    "yes_no": ("No", ["No", "no.", "The answer is No.", "**No**", "\\boxed{no}", "False"], ["Yes", "not no", "maybe"]),
    "choice": ("(Q)", ["(Q)", "Q", "The answer is (Q).", "(Q) thing q16", "thing q16", "Option Q"], ["P", "Q or P"]),
    "brackets": (
        "] ) >", ["] ) >", "])>", "`] ) >`", "The answer is ] ) >.", "Output: ] ) >"],
        ["] )", "] ) > }", "\\boxed{] ) }"],
    ),
    "word": ("invalid", ["invalid", "Invalid.", "The argument is invalid.", "The answer is **invalid**"], ["valid"]),
    "integer": ("-50", ["-50", "The answer is -50.", "(a) = 2 - 52 = -50", "$-50$"], ["50", "-5", "-50 or 50"]),
    "list": (
        "ox pi", ["ox pi", "ox, pi", "The answer is: ox pi", "The answer is ox pi.", "1. ox\n2. pi", "Sorted: ox, pi"],
        ["pi ox", "ox"],
    ),
}  # fmt: skip
"""Answer kind -> a target as published, texts that say it, texts that don't."""


@pytest.mark.parametrize("name", bbh.KINDS)
def test_a_sub_tasks_answers_are_read_in_the_forms_models_use(name: str):
    target, right, wrong = FORMS[bbh.KINDS[name]]
    asked = bbh.problem({"input": OPTIONS, "target": target}, name)
    assert is_correct(parse_plain(asked.solution, asked.answer_kind, asked.choices), asked)
    for text in right:
        tagged = f"<think>hm</think><answer>{text}</answer>"
        assert is_correct(parse_answer(tagged, asked.answer_kind, asked.choices), asked), text
        if "\n" not in text:
            assert is_correct(parse_plain(text, asked.answer_kind, asked.choices), asked), text
    for text in wrong:
        assert not is_correct(parse_plain(text, asked.answer_kind, asked.choices), asked), text


def test_a_box_of_brackets_ends_at_its_last_brace():
    for text in ("\\boxed{} ) }}", "So it is $\\boxed{\\} ) \\}}$."):
        assert parse_plain(text, "brackets") == parse_answer(f"<answer>{text}</answer>", "brackets") == "} ) }"


def test_an_option_quoted_after_its_letter_names_no_other_by_a_letter_of_its_own():
    films = ("The Ridiculous 6", "Star Wars Episode IV - A New Hope")
    assert parse_plain("(B) Star Wars Episode IV - A New Hope", "choice", films) == "B"
    assert parse_plain("(A) Star Wars Episode IV - A New Hope", "choice", films) is None


def test_a_broken_choice_is_answered_in_words():
    row = {"input": "A film?\nOptions:\n(A) Monsters\n(B) Inc\n(C) Up", "target": "Monsters, Inc"}
    asked = bbh.problem(row, "movie_recommendation")
    assert (asked.answer_kind, asked.choices) == ("word", ())
    assert is_correct(parse_plain("The answer is Monsters, Inc.", "word"), asked)


@pytest.mark.parametrize(("name", "spoken"), [("boolean_expressions", "True False"), ("multistep_arithmetic_two", "")])
def test_generated_rows_say_what_python_computes(name: str, spoken: str):
    rng = random.Random(0)
    rows = [GENERATORS[name](rng) for _ in range(500)]
    for row in rows:
        text = row["input"].removesuffix(" is").removesuffix(" =")
        assert str(eval(text)) == row["target"], row
    assert {row["target"] for row in rows} >= set(spoken.split())


def test_a_web_of_lies_is_untangled():
    rng = random.Random(0)
    for _ in range(500):
        row = GENERATORS["web_of_lies"](rng)
        honest: dict[str, bool] = {}
        for said in row["input"].removeprefix("Question: ").split(" Does ")[0].split(".")[:-1]:
            person, *middle = said.split()
            claim = said.endswith("tells the truth")
            honest[person] = claim if middle[0] != "says" else honest[middle[1]] is claim
        assert row["target"] == ("Yes" if list(honest.values())[-1] else "No")


def example(asked: str, **scores: int) -> dict[str, Any]:
    return {"input": asked, "target_scores": scores}


TASKS: dict[str, dict[str, Any]] = {
    "causal_judgment": {
        "task_prefix": "How would a typical person answer?\n", "examples": [example("Did it?", Yes=1, No=0)],
    },
    "navigate": {"task_prefix": "left out", "examples": [example("Turn left.", **{"True": 0, "False": 1})]},
    "hyperbaton": {"examples": [example('Which: a " big red cat " b " red big cat " ?', a=1, b=0)]},
    "snarks": {"examples": [example("Which is sarcastic? (a) Fine. (b) How fine.", **{"(a)": 0, "(b)": 1})]},
    "object_counting": {"examples": [{"input": "How many?", "target": ["three", "3"]}]},
    "dyck_languages": {"examples": [example("[ (", **{"]": 0, ") ]": 1})]},
    "logical_deduction/five_objects": {"task_prefix": "Five objects.", "examples": [example("Red?", red=0, blue=1)]},
}  # fmt: skip
REBUILT = {
    "causal_judgement": ("How would a typical person answer? Did it?", "Yes"),
    "navigate": ("If you follow these instructions, do you return to the starting point? Turn left.", "No"),
    "hyperbaton": ("Which:\nOptions:\n(A) big red cat\n(B) red big cat", "(A)"),
    "snarks": ("Which is sarcastic?\nOptions:\n(A) Fine.\n(B) How fine.", "(B)"),
    "object_counting": ("How many?", "3"),
    "dyck_languages": (
        "Complete the rest of the sequence, making sure that the parentheses are closed properly. Input: [ (", ") ]"
    ),
}  # fmt: skip


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    for name, task in TASKS.items():
        path = tmp_path / name / "task.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(task))
    return tmp_path


def test_a_source_of_each_shape_is_rebuilt(tasks: Path):
    found = dict(rebuilt_rows(tasks, dict.fromkeys(REBUILT, 1)))
    assert {name: (row["input"], row["target"]) for name, row in found.items()} == REBUILT


def test_options_are_mixed_and_the_target_follows(tasks: Path):
    ((_, row),) = rebuilt_rows(tasks, {"logical_deduction_five_objects": 1})
    assert f"{row['target']} blue" in row["input"].splitlines()


def test_a_choice_of_twice_the_same_is_no_question(tmp_path: Path):
    path = tmp_path / "snarks" / "task.json"
    path.parent.mkdir()
    twice = example("Which is sarcastic? (a) Fine. (b) Fine. ", **{"(a)": 0, "(b)": 1})
    path.write_text(json.dumps({"examples": [twice, *TASKS["snarks"]["examples"]]}))
    ((_, row),) = rebuilt_rows(tmp_path, {"snarks": 2})
    assert "(B) How fine." in row["input"]


needs_bigbench = pytest.mark.skipif(
    importlib.util.find_spec("bigbench") is None, reason="pip install --no-deps bigbench==1.0.0 (358 MB)"
)


@needs_bigbench
@pytest.mark.slow
def test_the_package_gives_27_sub_tasks_whose_every_target_is_accepted_in_the_forms_models_use():
    rows = list(rebuilt_rows(package_folder(bbh.PACKAGE) / "benchmark_tasks", bbh.REBUILT_COUNTS))
    assert Counter(name for name, _ in rows) == bbh.REBUILT_COUNTS
    for name, row in rows:
        asked = bbh.problem(row, name)
        assert is_correct(parse_plain(asked.solution, asked.answer_kind, asked.choices), asked), row
        for text in said_of(asked):
            tagged = f"<think>hm</think><answer>{text}</answer>"
            assert is_correct(parse_answer(tagged, asked.answer_kind, asked.choices), asked), (text, row)


def said_of(problem: Problem) -> list[str]:
    """The target as models write it, by its kind."""
    target = problem.target
    texts = [target, f"**{target}**", f"\\boxed{{{target}}}", f"So the answer is {target}."]
    if problem.answer_kind == "choice":
        option = problem.choices[ord(target) - ord("A")]
        return [*texts, f"({target})", f"({target}) {option}", option]
    if problem.answer_kind == "list":
        return [*texts, ", ".join(target.split()), "\n".join(f"{n}. {w}" for n, w in enumerate(target.split(), 1))]
    return [*texts, target.replace(" ", "")] if problem.answer_kind == "brackets" else [*texts, target.upper()]


def test_a_missing_source_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"navigate/task.json: no such file; package bigbench"):
        list(rebuilt_rows(tmp_path, {"navigate": 250}))


def folder_of_all(folder: Path, counts: dict[str, int]) -> Iterator[Path]:
    for name, count in counts.items():
        target, *_ = FORMS[bbh.KINDS[name]]
        rows = [{"input": f"{name} {number}. {OPTIONS}", "target": target} for number in range(count)]
        path = folder / "bbh" / f"{name}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        yield path


def test_all_27_sub_tasks_and_6511_rows_are_wanted(tmp_path: Path):
    *_, last = folder_of_all(tmp_path, bbh.COUNTS)
    config = PrepareConfig(benchmark="bbh", source="path", path=str(tmp_path), families=("all",))
    pools = bbh.load(config)
    assert pools.rows == {"test": 6511}
    assert len(pools.test) == len(pools.train) == 27
    last.write_text(last.read_text().split("\n", 1)[1])
    with pytest.raises(ConfigError, match=r"bbh: 249 rows of 'word_sorting' in path, but it has 250"):
        bbh.load(config)

"""Rows like BBH's, rebuilt from the BIG-bench tasks that BBH was drawn from (package `bigbench`, Apache-2.0).

24 sub-tasks come from a task.json each, three are generated as their task.py says. A row reads as in `bbh`.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from mlpo.benchmarks.sources import Row
from mlpo.config import ConfigError
from mlpo.method.seeds import derive_seed

SOURCES = {
    "causal_judgement": "causal_judgment",
    "formal_fallacies": "formal_fallacies_syllogisms_negation",
    **{f"{task}_{n}_objects": f"{task}/{n}_objects"
       for task in ("logical_deduction", "tracking_shuffled_objects") for n in ("three", "five", "seven")},
}  # fmt: skip
"""Sub-task -> folder of its source, where the two differ."""
LEADS = {
    "navigate": "If you follow these instructions, do you return to the starting point?",
    "sports_understanding": "Is the following sentence plausible?",
    "dyck_languages": "Complete the rest of the sequence, making sure that the parentheses are closed properly. Input:",
    "word_sorting": "Sort the following words alphabetically: List:",
}
"""What stands before a question that is not one without it; the others bring a prefix or need none."""
SPOKEN = {"True": "Yes", "False": "No", "plausible": "yes", "implausible": "no"}
NAMED_OPTIONS = {
    "hyperbaton": re.compile(r"""(.*?:?) (a) " (.*?) " (b) " (.*?) " \?""", re.DOTALL),
    "snarks": re.compile(r"(.*?) (\(a\)) (.*?) (\(b\)) (.*)", re.DOTALL),
}
"""Questions whose options stand in the question: lead, name, text, name, text."""
PEOPLE = (
    "Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gina", "Hugo", "Ines", "Jan", "Kira", "Leo", "Mona", "Nils", "Olga",
    "Paul", "Rosa", "Sam", "Tess", "Uwe", "Vera", "Will",
)  # fmt: skip


def rebuilt_rows(tasks: Path, counts: Mapping[str, int]) -> Iterator[tuple[str, Row]]:
    """So many rows of every sub-task, chosen by content, with the sub-task's name.

    Raises:
        ConfigError: a source is missing.
    """
    for name, count in counts.items():
        made = list(_generated(name, count) if name in GENERATORS else _from_task(tasks, name))
        distinct = {row["input"]: row for row in made}.values() if len(made) > count else made
        ranked = sorted(distinct, key=lambda row: derive_seed("rebuilt", name, row["input"]))
        yield from ((name, row) for row in ranked[:count])


def _from_task(tasks: Path, name: str) -> Iterator[Row]:
    path = tasks / SOURCES.get(name, name) / "task.json"
    try:
        task = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; package bigbench is not the whole one") from None
    prefix = LEADS.get(name, task.get("task_prefix", "").strip())
    return (_row(name, prefix, example) for example in task["examples"] if _is_gradable(name, example))


def _is_gradable(name: str, example: Mapping[str, Any]) -> bool:
    """Not if it has more options than letters, options that read the same, or a word to sort that reads as a hedge."""
    if name == "word_sorting":
        return "or" not in example["target"].split()
    if name == "snarks":
        first, second = re.split(r"\(b\)", example["input"].partition("(a)")[2])
        return bool(first.strip() != second.strip())
    return name == "dyck_languages" or len(example.get("target_scores", ())) <= len(ascii_uppercase)


def _row(name: str, prefix: str, example: Mapping[str, Any]) -> Row:
    asked = f"{prefix} {example['input'].strip()}".strip()
    if name in ("object_counting", "word_sorting"):
        targets = example["target"]
        return {"input": asked, "target": targets if isinstance(targets, str) else targets[-1]}
    scores: Mapping[str, float] = example["target_scores"]
    best = max(scores, key=lambda option: scores[option])
    if name == "dyck_languages" or set(scores) <= {"Yes", "No", "valid", "invalid", *SPOKEN}:
        return {"input": asked, "target": SPOKEN.get(best, best)}
    if name in NAMED_OPTIONS and (named := NAMED_OPTIONS[name].fullmatch(asked)):
        return _lettered(named[1], [named[3].strip(), named[5].strip()], [named[2], named[4]].index(best))
    options = sorted(scores, key=lambda option: derive_seed("option", asked, option))
    return _lettered(asked, options, options.index(best))


def _lettered(asked: str, options: list[str], place: int) -> Row:
    lines = [f"({letter}) {option}" for letter, option in zip(ascii_uppercase, options, strict=False)]
    return {"input": "\n".join([asked, "Options:", *lines]), "target": f"({ascii_uppercase[place]})"}


def _generated(name: str, count: int) -> Iterator[Row]:
    rng = random.Random(derive_seed("rebuilt", name))
    seen: set[str] = set()
    while len(seen) < count:
        row = GENERATORS[name](rng)
        if row["input"] not in seen:
            seen.add(row["input"])
            yield row


def _boolean_expression(rng: random.Random) -> Row:
    def operand(depth: int) -> tuple[str, bool]:
        kind = rng.choice(("constant", "not", "brackets")) if depth else "constant"
        if kind == "constant":
            value = rng.random() < 0.5
            return str(value), value
        if kind == "not":
            text, value = operand(depth - 1)
            return f"not {text}", not value
        text, value = either(depth - 1)
        return f"( {text} )", value

    def either(depth: int) -> tuple[str, bool]:
        """`and` binds closer than `or`."""
        texts, groups = zip(*(both(depth) for _ in range(rng.choice((1, 2)))), strict=True)
        return " or ".join(texts), any(groups)

    def both(depth: int) -> tuple[str, bool]:
        texts, values = zip(*(operand(depth) for _ in range(rng.choice((1, 2)))), strict=True)
        return " and ".join(texts), all(values)

    text, value = either(3)
    return {"input": f"{text} is", "target": str(value)}


def _two_steps(rng: random.Random) -> Row:
    (left, a), (right, b) = (_four_numbers(rng) for _ in range(2))
    sign = rng.choice("+-*")
    return {"input": f"({left} {sign} {right}) =", "target": str({"+": a + b, "-": a - b, "*": a * b}[sign])}


def _four_numbers(rng: random.Random) -> tuple[str, int]:
    """A sum of products such as (-5 + 9 * -4 - 0), and its value."""
    numbers, signs = [rng.randint(-9, 9) for _ in range(4)], [rng.choice("+-*") for _ in range(3)]
    total, term = 0, numbers[0]
    for sign, number in zip(signs, numbers[1:], strict=True):
        if sign == "*":
            term *= number
        else:
            total, term = total + term, number if sign == "+" else -number
    words = [str(numbers[0]), *(f"{sign} {number}" for sign, number in zip(signs, numbers[1:], strict=True))]
    return f"({' '.join(words)})", total + term


def _web_of_lies(rng: random.Random) -> Row:
    people, honest, said = rng.sample(PEOPLE, 5), True, list[str]()
    for before, person in zip(["", *people], people, strict=False):
        claim = rng.random() < 0.5
        honest = honest == claim  # a claim is true where it says of the one before what that one is
        words = "tells the truth" if claim else "lies"
        said.append(f"{person} says {before} {words}." if before else f"{person} {words}.")
    asked = f"Question: {' '.join(said)} Does {people[-1]} tell the truth?"
    return {"input": asked, "target": "Yes" if honest else "No"}


GENERATORS: dict[str, Callable[[random.Random], Row]] = {
    "boolean_expressions": _boolean_expression,
    "multistep_arithmetic_two": _two_steps,
    "web_of_lies": _web_of_lies,
}

"""A study's tables: numbers as they are, a failed variant with its reason, and 80 columns on a terminal."""

from __future__ import annotations

import csv
import io
import json

import pytest
from rich.console import Console

from mlpo.method.metrics.evaluation import Difference, Interval
from mlpo.studies.tables import (
    ComparisonRow,
    StudyTables,
    VariantRow,
    print_study,
    study_csv,
    study_json,
    study_markdown,
)


def accuracy(value: float) -> Difference:
    return Difference(value, Interval(value - 0.0625, value + 0.0625), 120)


COSTS = {"generations": 8.0, "prompt_tokens": 900.0, "completion_tokens": 120.0, "invalid_rate": 0.0}
ASKING = {"generations": 3.0, "prompt_tokens": 450.0, "completion_tokens": 60.0, "share_asked": 0.25}


@pytest.fixture
def tables() -> StudyTables:
    told = {"leader": accuracy(0.625), "leader_solo": accuracy(0.5), "majority_vote": accuracy(0.25)}
    asked = told | {"leader_consult": accuracy(0.5625)}
    variants = [
        VariantRow("mlpo", "as in params.yaml", (0, 1), told, COSTS, {}, (0.5, 0.625), ""),
        VariantRow("three_rounds", "three_rounds", (0,), told, COSTS, {}, (0.5, 0.5625, 0.625), ""),
        VariantRow("one_round", "one_round", (0,), asked, COSTS, ASKING, (0.5,), ""),
        VariantRow("broken", "a mistake", (), {}, {}, {}, (), "train_mlpo: mlpo: the server is down"),
    ]
    comparisons = [
        ComparisonRow(("one_round", "leader"), ("mlpo", "leader"), (0,), accuracy(0.125), 0.02, 0.06, "not told apart"),
        ComparisonRow(("three_rounds", "leader"), ("mlpo", "leader"), (0,), accuracy(0.0), 0.5, 1.0, "not told apart"),
        ComparisonRow(("mlpo", "leader"), ("mlpo", "majority_vote"), (0, 1), accuracy(0.375), 0.0001, 0.0002, "better"),
    ]
    title, question = "What rounds are worth", "Do they help?"
    words = ("rounds", title, question, "mlpo study rounds", "abc with changes", "2 cores")
    return StudyTables(*words, 0.95, 81.6, variants, comparisons)


def test_the_page_holds_every_number_and_where_it_comes_from(tables: StudyTables) -> None:
    page = study_markdown(tables)
    assert page.startswith("# What rounds are worth\n\nDo they help?\n\n| variant |")
    assert (
        "| `mlpo`: as in params.yaml | 0.625 [0.562, 0.688] | 0.500 [0.438, 0.562] | 0.250 | 120 | 2 | 8.0 | 1020 |"
        in page
    )
    assert "| `three_rounds` | 0.625" in page
    assert "| three_rounds | mlpo | +0.000 | [-0.062, +0.062] | 120 | 1.000 | · not told apart |" in page
    assert "| mlpo: leader + team | mlpo: majority vote | +0.375 |" in page
    assert "| < 0.001 | ✔ better |" in page
    assert "| one_round | mlpo | +0.125 | [+0.062, +0.188] | 120 | 0.060 | · not told apart |" in page
    assert "Better or worse: p <= 0.05 after Holm's correction over the pairs shown (3)." in page
    assert "| `mlpo` | 0.500 | 0.625 |  |" in page
    assert "| `one_round` | 0.500 |" not in page  # one round is no course of rounds
    assert "| variant | accuracy | questions that asked | generations | tokens | of always asking |" in page
    assert "| `one_round` | 0.562 [0.500, 0.625] | 25% | 3.0 | 510 | 0.50 |" in page
    assert "broken failed: train_mlpo: mlpo: the server is down" in page
    assert "`mlpo study rounds` at commit abc with changes on 2 cores; 82 minutes of runs" in page


def test_the_terminals_table_fits_80_columns_with_every_number_whole(tables: StudyTables) -> None:
    console = Console(width=80, record=True, file=io.StringIO())
    print_study(tables, console=console)
    told = console.export_text()
    assert max(map(len, told.splitlines())) <= 80
    for number in ("0.625 [0.562, 0.688]", "[-0.062, +0.062]", "< 0.001", "1020", "0.562 [0.500, 0.625]", "0.50"):
        assert number in told


def test_files_for_programs_hold_unrounded_numbers(tables: StudyTables) -> None:
    first, *_, broken = csv.DictReader(io.StringIO(study_csv(tables)))
    assert (first["leader"], first["leader_low"], first["seeds"], first["n"]) == ("0.625", "0.5625", "0 1", "120")
    assert (broken["leader"], broken["failed"]) == ("", "train_mlpo: mlpo: the server is down")
    whole = json.loads(json.dumps(study_json(tables)))
    assert whole["variants"][0]["accuracies"]["leader"] == {"value": 0.625, "interval": [0.5625, 0.6875], "n": 120}
    assert whole["comparisons"][2]["verdict"] == "better"

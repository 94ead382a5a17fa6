"""The page: it stands alone, no agent can write into it, and what it has no data for is not there."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from mlpo.method.metrics.evaluation import Graded
from mlpo.report import browser_data, page, plots, write_plots
from mlpo.report.rows import strategy_rows
from mlpo.types import Completion


class Outline(HTMLParser):
    """The tags of a page, every address in it, and the data of its browser."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.data = ""
        self._in_data = False
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [v or "" for name, v in attributes if name in ("src", "srcset", "href", "xlink:href")]
        self._in_data = ("type", "application/json") in attributes

    def handle_data(self, data: str) -> None:
        self.data += data if self._in_data else ""


def test_the_page_stands_alone(metrics: dict[str, Any], graded: dict[str, list[Graded]]) -> None:
    html = page(metrics, plots=plots(metrics, sft_curve={}, mlpo_curve={}), browser=browser_data(graded))
    outline = Outline(html)
    assert outline.addresses
    assert [address for address in outline.addresses if not address.startswith(("data:", "#"))] == []
    assert "://" not in html.replace("http://www.w3.org/", "")  # names of SVG's vocabularies, never fetched
    assert "default-src 'none'" in html
    assert outline.tags.count("svg") == 8


def test_the_same_results_are_the_same_page(metrics: dict[str, Any], graded: dict[str, list[Graded]]) -> None:
    drawn = plots(metrics, sft_curve={}, mlpo_curve={})[:1]
    first, second = (page(metrics, plots=drawn, browser=browser_data(graded)) for _ in range(2))
    assert first == second


def test_an_agents_text_is_text(metrics: dict[str, Any], graded: dict[str, list[Graded]]) -> None:
    [victim] = graded["leader"][:1]
    attack = Completion(victim.problem.id, "geo", "</script><script>alert(1)</script>", "stop", 1, 1)
    exchange = replace(victim.transcript.rounds[0], proposals=(attack,))
    poisoned = replace(victim, rounds_correct=(True,), transcript=replace(victim.transcript, rounds=(exchange,)))
    outline = Outline(page(metrics, browser=browser_data({"leader": [poisoned]})))
    assert outline.tags.count("script") == 2  # the data and what shows it
    assert json.loads(outline.data)["texts"][0][1] == [["", "</script><script>alert(1)</script>"]]


def test_families_have_each_strategys_own_accuracy_and_a_name_is_text(metrics: dict[str, Any]) -> None:
    leader = metrics["strategies"]["leader"]
    odd = leader | {"by_family": leader["by_family"] | {"<i>odd": {"accuracy": 0.11, "n": 9}}}
    html = page(metrics | {"strategies": metrics["strategies"] | {"leader": odd}})
    rows = {row.split("</td>")[0]: row.split("</td>")[1:] for row in html.split("<tr><td>")[1:]}
    names = [row.name for row in strategy_rows(metrics)]
    for family in ("capital", "product"):
        shown = [cell.rpartition(">")[2] for cell in rows[family][: len(names)]]
        assert shown == [f"{metrics['strategies'][name]['by_family'][family]['accuracy']:.2f}" for name in names]
    assert [cell.rpartition(">")[2] for cell in rows["&lt;i&gt;odd"]].count("0.11") == 1


def test_seconds_and_transcripts_are_shown_where_they_are_known(metrics: dict[str, Any]) -> None:
    assert "table-stages" not in page(metrics)
    assert "transcripts-data" not in page(metrics)
    timings = {"stages": {"evaluate": {"wall_seconds": 3.0, "model_seconds": 2.0}}, "strategies": {}}
    assert "model seconds" in page(metrics, timings=timings)


def test_pictures_are_written_again_and_stale_ones_go(tmp_path: Path, metrics: dict[str, Any]) -> None:
    drawn = plots(metrics, sft_curve={}, mlpo_curve={})[:2]
    write_plots(drawn, tmp_path)
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(first) == {"accuracy.png", "differences.png"}
    write_plots(drawn[:1], tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"accuracy.png": first["accuracy.png"]}

"""The page and its plots: the same bytes each time, nothing from elsewhere, and no agent can write into it."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from mlpo.method.metrics import Graded
from mlpo.report import choose_cases, write_report
from mlpo.report.page import marks, page
from mlpo.report.plots import DARK, LIGHT, accuracy_plot, png, reward_plot, svg
from mlpo.types import Completion

CURVE = "step,reward,correct_team,correct_solo\n1,0.4,0.35,\n2,0.5,0.45,0.6\n3,0.6,0.55,\n"


class Outline(HTMLParser):
    """The tags of a page, and every address in it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attributes if name in ("src", "srcset", "href", "action")]


def test_the_same_results_give_the_same_bytes(
    tmp_path: Path, metrics: dict[str, Any], graded: dict[str, list[Graded]]
) -> None:
    (tmp_path / "curve.csv").write_text(CURVE, encoding="utf-8")
    for name in ("a", "b"):
        cases = choose_cases(graded["leader"], 5)
        write_report(metrics, tmp_path / name, cases=cases, curve=tmp_path / "curve.csv")
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"report.html", "accuracy.png"}
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_a_users_matplotlib_settings_do_not_change_the_plot(metrics: dict[str, Any]) -> None:
    import matplotlib as mpl

    draw = partial(accuracy_plot, metrics)
    plain = png(draw)
    with mpl.rc_context({"axes.labelsize": 20, "xtick.major.pad": 9}):
        assert png(draw) == plain


def test_no_file_holds_a_clock_or_a_version(metrics: dict[str, Any]) -> None:
    draw = partial(accuracy_plot, metrics)
    assert b"Software" not in png(draw)
    assert not re.search(rb"<dc:date>|Matplotlib v", svg(draw, LIGHT))


def test_a_curve_with_gaps_and_another_ground_are_drawn(metrics: dict[str, Any]) -> None:
    curve = {"step": [1.0, 2.0], "reward": [0.1, 0.2], "correct_solo": [float("nan"), 0.5]}
    light, dark = (svg(partial(reward_plot, curve), theme) for theme in (LIGHT, DARK))
    assert light.startswith(b"<?xml")
    assert LIGHT.accent.encode() not in dark


def test_the_page_stands_alone(metrics: dict[str, Any], graded: dict[str, list[Graded]]) -> None:
    html = page(metrics, cases=graded["leader"])
    outline = Outline(html)
    assert outline.addresses
    assert all(address.startswith("data:") for address in outline.addresses)
    assert "default-src 'none'" in html
    assert outline.tags.count("script") == 1
    assert outline.tags.count("details") == len(graded["leader"])


def test_an_agents_text_is_text(metrics: dict[str, Any], graded: dict[str, list[Graded]]) -> None:
    [victim] = graded["leader"][:1]
    attack = Completion(victim.problem.id, "geo", "</dd><script>alert(1)</script>", "stop", 1, 1)
    exchange = replace(victim.transcript.rounds[0], proposals=(attack,))
    poisoned = replace(victim, transcript=replace(victim.transcript, rounds=(exchange,)))
    html = page(metrics, cases=[poisoned])
    assert Outline(html).tags.count("script") == 1
    assert "&lt;script&gt;alert(1)" in html


def test_marks_say_rescued_and_talked_out(graded: dict[str, list[Graded]]) -> None:
    # drafts repeat every 4 problems (yy, ny, yn, -y), teams every 3 (yy, ny, nn); the vote is right on yy only
    assert marks(graded["leader"][0]) == ("right",)
    assert marks(graded["leader"][1]) == ("right", "rescued")
    assert marks(graded["leader"][2]) == ("wrong", "talked out")
    assert marks(graded["majority_vote"][2]) == ("wrong",)


def test_cases_are_chosen_in_turns_and_no_more_than_there_are(graded: dict[str, list[Graded]]) -> None:
    chosen = [marks(g) for g in choose_cases(graded["leader"], 3)]
    assert chosen == [("right", "rescued"), ("wrong", "talked out"), ("right",)]
    everything = choose_cases(graded["leader"], 1000)
    assert sorted(g.problem.id for g in everything) == [g.problem.id for g in graded["leader"]]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
@pytest.mark.parametrize("width", [400, 1280])
def test_a_browser_shows_it_without_sideways_scrolling(
    tmp_path: Path, metrics: dict[str, Any], graded: dict[str, list[Graded]], width: int
) -> None:
    probe = "<script>document.title = document.documentElement.scrollWidth <= innerWidth ? 'fits' : 'too wide'</script>"
    html = page(metrics, cases=graded["leader"]).replace("</body>", f"{probe}</body>")
    (tmp_path / "page.html").write_text(html, encoding="utf-8")
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--window-size={width},900", "--dump-dom"]
    shown = subprocess.run(
        [*command, f"file://{tmp_path}/page.html"], capture_output=True, text=True, timeout=120, check=True
    ).stdout
    assert "<title>fits</title>" in shown

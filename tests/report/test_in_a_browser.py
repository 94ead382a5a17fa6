"""The page in a real browser: no error, no sideways scrolling, the numbers of metrics.json, filters, the keyboard."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from mlpo.method.metrics.evaluation import Graded
from mlpo.report import browser_data, page, plots
from mlpo.report.browser import marks

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, metrics: dict[str, Any], graded: dict[str, list[Graded]]) -> str:
    curve = {"step": [1.0, 2.0], "reward": [0.1, 0.2], "zero_signal_share": [0.5, 0.4], "loss": [2.0, 1.0]}
    drawn = plots(metrics, sft_curve=curve, mlpo_curve=curve)
    timings = {"stages": {"evaluate": {"wall_seconds": 3.0, "model_seconds": 2.0}}, "strategies": {}}
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(page(metrics, plots=drawn, browser=browser_data(graded), timings=timings), encoding="utf-8")
    return file.as_uri()


def opened(browser: Browser, address: str, *, width: int = 1280, scheme: Any = "light") -> Page:
    """The page, which fails the test if it complains."""
    shown = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    shown.set_default_timeout(120_000)  # a busy machine draws slowly
    complaints: list[str] = []
    shown.on("console", lambda message: complaints.append(message.text))
    shown.on("pageerror", lambda error: complaints.append(str(error)))
    shown.on("request", lambda request: None if request.url == address else complaints.append(request.url[:80]))
    shown.goto(address)
    assert complaints == ["data:,"] or complaints == []  # the empty icon
    return shown


def listed(shown: Page) -> int:
    return shown.locator("#cases details").count()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_is_wider_than_the_window(browser: Browser, address: str, width: int, scheme: str) -> None:
    shown = opened(browser, address, width=width, scheme=scheme)
    shown.locator("#cases summary").first.click()
    assert shown.evaluate("document.documentElement.scrollWidth") == width
    ground = shown.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(22, 25, 29)")
    # a plot stands on the page's ground: its own is the same variable
    assert shown.evaluate("getComputedStyle(document.querySelector('figure svg path')).fill") == ground
    assert shown.locator("figure svg").count() == 11
    shown.close()


def test_the_tables_say_what_metrics_say(browser: Browser, address: str, metrics: dict[str, Any]) -> None:
    shown = opened(browser, address)
    for name, row in metrics["strategies"].items():
        cells = shown.locator(f'#table-strategies tr[data-name="{name}"] td').all_inner_texts()[1:]
        low, high = row["interval"]
        assert cells == [
            f"{row['accuracy']:.3f}", f"[{low:.3f}, {high:.3f}]", f"{row['invalid_rate']:.3f}",
            f"{row['generations']:.2f}", f"{row['prompt_tokens']:.0f}", f"{row['completion_tokens']:.0f}",
        ]  # fmt: skip
    for rival in ("majority_vote", "leader_solo"):
        row = metrics["paired"][f"leader_vs_{rival}"]
        cells = shown.locator(f'#table-differences tr[data-name="{rival}"] td').all_inner_texts()[1:4]
        low, high = row["interval"]
        assert cells == [f"{row['difference']:+.3f}", f"[{low:+.3f}, {high:+.3f}]", str(row["n"])]
    shown.close()


def test_filters_leave_what_they_name(browser: Browser, address: str, graded: dict[str, list[Graded]]) -> None:
    shown = opened(browser, address)
    assert listed(shown) == 24
    for mark in ("rescued", "talked out", "no answer", "wrong"):
        shown.select_option("#outcome", mark)
        assert listed(shown) == sum(mark in marks(g) for g in graded["leader"])
    shown.select_option("#outcome", "rescued")
    shown.select_option("#family", "capital")
    fits = [g for g in graded["leader"] if "rescued" in marks(g) and g.problem.family == "capital"]
    assert listed(shown) == len(fits) > 0
    assert f"{len(fits)} of 24 transcripts of MLPO leader + team" in shown.inner_text("#status")
    shown.select_option("#outcome", "")
    shown.fill("#words", fits[0].problem.question)
    assert listed(shown) == 1
    shown.close()


def test_it_works_from_the_keyboard_and_marks_a_change_of_mind(browser: Browser, address: str) -> None:
    # problem 2: the leader's drafts are yes, then no (tests/report/conftest.py)
    shown = opened(browser, address)
    shown.locator("#words").focus()
    shown.keyboard.type("question 2?")
    shown.keyboard.press("Tab")
    shown.keyboard.press("Enter")
    case = shown.locator("#cases details")
    assert case.get_attribute("open") is not None
    case.locator(".round").nth(1).wait_for()  # a case is drawn when it has been opened
    assert "changed its mind yes (right) → no (wrong)" in case.inner_text()
    assert case.locator(".round").count() == 2
    case.get_by_role("button", name="MLPO leader alone").press("Enter")
    assert shown.input_value("#strategy") == "leader_solo"
    expect(case.locator(".round")).to_have_count(1)
    shown.close()

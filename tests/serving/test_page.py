"""The page in a real browser: a person asks and watches, at any width, and nobody's text becomes markup."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from mlpo.inference.scripted import ScriptedModels
from mlpo.types import LEADER, Request
from tests.serving.conftest import Serve, reply

pytestmark = pytest.mark.slow
ATTACK = "<img src=x onerror=document.title='attacked'>"
expect.set_options(timeout=60_000)  # a busy machine answers slowly


def attacking(request: Request) -> str:
    """As `reply`, but the guesser writes markup."""
    return ATTACK if request.model == "guesser" else reply(request)


def opened(browser: Browser, url: str, *, width: int, scheme: Any = "light") -> Page:
    """The page, ready for a question."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.goto(url)
    expect(page.get_by_label("Rounds").locator("option")).to_have_count(6)
    return page


def ask(page: Page, question: str) -> None:
    """Type and press the button, as a person does."""
    page.get_by_label("Question").fill(question)
    page.get_by_role("button", name="Ask").click()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "dark")])
def test_a_person_asks_and_watches_round_by_round(serve: Serve, browser: Browser, width: int, scheme: str) -> None:
    with serve(models_for=lambda on_text: ScriptedModels(attacking, on_text=on_text)) as url:
        page = opened(browser, url, width=width, scheme=scheme)
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        expect(page.get_by_label("Rounds")).to_have_value("2")
        ask(page, "17 + 1?")
        expect(page.locator("#answer")).to_have_text("18")
        rounds = page.locator("section").all_inner_texts()
        assert len(rounds) == 2
        for shown in rounds:
            assert "adder\n18\nread as: 18" in shown
            assert ATTACK in shown
            assert "adder says 18 and so do I" in shown
            assert "answers: 18" in shown
        assert page.title() == "Ask the leader and its team"
        expect(page.locator("#cost")).to_contain_text("leader version 1 · 2 rounds")
        assert page.evaluate("document.documentElement.scrollWidth") == width
        cards = page.locator("section").first.locator("[data-agent]").all()
        tops = [card.evaluate("card => card.offsetTop") for card in cards]
        assert (tops[0] == tops[1]) == (width == 1280)  # side by side where there is room
        assert complaints == []
        page.close()


def test_the_leader_alone_has_no_team_and_a_mistake_is_shown(serve: Serve, browser: Browser) -> None:
    def alone(request: Request) -> str:
        assert request.model == LEADER
        return reply(request)

    with serve(models_for=lambda on_text: ScriptedModels(alone, on_text=on_text)) as url:
        page = opened(browser, f"{url}/?rounds=leader-solo&q=17%20%2B%201%3F", width=800)
        expect(page.locator("#answer")).to_have_text("18")
        expect(page.locator("[data-agent]")).to_have_count(0)
        page.get_by_label("Rounds").select_option("2")
        ask(page, "17 + 1?")  # the team is asked, which this script refuses
        expect(page.get_by_role("alert")).to_contain_text("the models failed")
        page.close()

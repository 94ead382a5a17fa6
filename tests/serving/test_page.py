"""The page in a real browser: a person asks and watches, at any width, and nobody's text becomes markup."""

from __future__ import annotations

import shutil

import pytest

from mlpo.agents.scripted import ScriptedModels
from mlpo.types import LEADER, Request
from tests.serving.browser import chromium
from tests.serving.conftest import Serve, reply

pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")]
ATTACK = "<img src=x onerror=document.title='attacked'>"


def attacking(request: Request) -> str:
    """As `reply`, but the guesser writes markup."""
    return ATTACK if request.model == "guesser" else reply(request)


def test_a_person_asks_and_watches_round_by_round(serve: Serve) -> None:
    with serve(models_for=lambda on_text: ScriptedModels(attacking, on_text=on_text)) as url, chromium() as tab:
        for width, dark in ((1280, False), (400, True)):
            tab.open(url, width=width, dark=dark)
            assert tab.value("document.querySelector('select').value") == "2"
            tab.ask("17 + 1?")
            tab.until("!document.querySelector('#answer').hidden")
            assert tab.value("document.querySelector('#answer').textContent") == "18"
            rounds = tab.value("[...document.querySelectorAll('section')].map(s => s.innerText)")
            assert len(rounds) == 2
            for shown in rounds:
                assert "adder\n18\nread as: 18" in shown
                assert ATTACK in shown
                assert "adder says 18 and so do I" in shown
                assert "answers: 18" in shown
            assert tab.value("document.title") == "Ask the leader and its team"
            assert "leader version 1 · 2 rounds" in tab.value("document.querySelector('#cost').textContent")
            assert tab.value("document.documentElement.scrollWidth <= innerWidth")
            tops = tab.value("[...document.querySelectorAll('section:first-child [data-agent]')].map(c => c.offsetTop)")
            assert (tops[0] == tops[1]) == (width == 1280)  # side by side where there is room


def test_the_leader_alone_has_no_team_and_a_mistake_is_shown(serve: Serve) -> None:
    def alone(request: Request) -> str:
        assert request.model == LEADER
        return reply(request)

    with serve(models_for=lambda on_text: ScriptedModels(alone, on_text=on_text)) as url, chromium() as tab:
        tab.open(f"{url}/?rounds=leader-solo&q=17%20%2B%201%3F", width=800)
        tab.until("!document.querySelector('#answer').hidden")
        assert tab.value("document.querySelectorAll('[data-agent]').length") == 0
        tab.value("document.querySelector('select').value = '2'; document.querySelector('input').value = ''")
        tab.ask("17 + 1?")  # the team is asked, which this script refuses
        tab.until("!document.querySelector('#error').hidden")
        assert tab.value("document.querySelector('#error').textContent").startswith("the models failed")

"""The scheduler: one batch for all who ask, limits, versions that take over, and failures that cost only their own."""

from __future__ import annotations

import pytest

from mlpo.config import ConfigError, Params, ServeConfig, parse_params
from mlpo.inference.scripted import ScriptedModels
from mlpo.serving.events import Refused
from mlpo.serving.scheduler import BusyError
from mlpo.types import LEADER, Request
from tests.serving.conftest import reply
from tests.serving.seated import Asked, Held, Models, champion, seated, until

CONFIG = ServeConfig()


def test_questions_that_come_while_models_compute_share_the_next_batches(params: Params) -> None:
    held, lead = Held(reply), ScriptedModels(reply)
    team = ScriptedModels(held)
    with seated(CONFIG, champion(params, lead), team) as scheduler:
        first = Asked(scheduler, "0 + 1?")
        assert held.asked.wait(60)
        others = [Asked(scheduler, f"{number} + 1?") for number in range(1, 9)]
        held.let_go.set()
        assert [asked.answer for asked in (first, *others)] == [str(number + 1) for number in range(9)]
    # the first is half a round ahead: five steps, all but the first ask the leader, and all but the last the team
    assert (team.backend.num_calls, lead.backend.num_calls) == (4, 4)
    assert (team.backend.num_generations, lead.backend.num_generations) == (9 * 2 * 2, 9 * 2)


def test_no_more_run_and_wait_than_may_and_who_left_makes_room(params: Params) -> None:
    held = Held(reply)
    few = ServeConfig(max_running=2, max_waiting=1)
    with seated(few, champion(params, ScriptedModels(reply)), ScriptedModels(held)) as scheduler:
        running = [Asked(scheduler, "1 + 1?")]
        assert held.asked.wait(60)
        leaving = Asked(scheduler, "5 + 1?")
        assert (scheduler.num_running, scheduler.num_waiting) == (1, 1)
        with pytest.raises(BusyError):
            Asked(scheduler, "3 + 1?")
        leaving.request_state.left = True
        assert scheduler.num_waiting == 0
        running.append(Asked(scheduler, "3 + 1?"))
        held.let_go.set()
        assert [asked.answer for asked in running] == ["2", "4"]
    assert not [question for question in held.questions if question.startswith("5")]


def test_one_more_than_may_run_waits_its_turn(params: Params) -> None:
    held = Held(reply)
    with seated(ServeConfig(max_running=1), champion(params, ScriptedModels(held)), ScriptedModels(reply)) as scheduler:
        both = [Asked(scheduler, "1 + 1?"), Asked(scheduler, "2 + 1?")]
        assert held.asked.wait(60)
        assert (scheduler.num_running, scheduler.num_waiting) == (1, 1)
        held.let_go.set()
        assert [asked.answer for asked in both] == ["2", "3"]


def test_who_leaves_is_played_no_further(params: Params) -> None:
    held, lead = Held(reply), ScriptedModels(reply)
    with seated(CONFIG, champion(params, lead), ScriptedModels(held)) as scheduler:
        leaving = Asked(scheduler, "1 + 1?")
        assert held.asked.wait(60)
        leaving.request_state.left = True
        held.let_go.set()
        until(lambda: scheduler.num_running == 0)
        assert Asked(scheduler, "2 + 1?").answer == "3"
    assert lead.backend.num_generations == 2  # of the second question alone


def test_equal_questions_are_asked_anew(params: Params) -> None:
    lead, team = ScriptedModels(reply), ScriptedModels(reply)
    with seated(CONFIG, champion(params, lead), team) as scheduler:
        assert {Asked(scheduler, "1 + 1?").answer for _ in range(2)} == {"2"}
    assert (team.backend.num_generations, lead.backend.num_generations) == (2 * 4, 2 * 2)


def test_models_that_fail_cost_their_questions_and_not_the_scheduler(params: Params) -> None:
    def broken(request: Request) -> str:
        if request.messages[-1].content.startswith("13"):
            raise RuntimeError("out of luck")
        return reply(request)

    with seated(CONFIG, champion(params, ScriptedModels(broken)), ScriptedModels(reply)) as scheduler:
        end = Asked(scheduler, "13 + 1?").end()
        assert isinstance(end, Refused)
        assert (end.status, "out of luck" in end.message) == (500, True)
        assert Asked(scheduler, "14 + 1?").answer == "15"


def leads_with(answer: str, held: Held | None = None) -> Models:
    """A leader that always answers this."""

    def lead(request: Request) -> str:
        if held is not None:
            held(request)
        return f"<think></think><answer>{answer}</answer>"

    return Models(lead)


def test_questions_stay_with_their_version_and_the_old_one_is_let_go_after_the_last(params: Params) -> None:
    held = Held(reply)
    old, new = leads_with("100", held), leads_with("200")
    with seated(ServeConfig(max_running=1), champion(params, old), ScriptedModels(reply)) as scheduler:
        running, waiting = Asked(scheduler, "1 + 1?"), Asked(scheduler, "2 + 1?")
        assert held.asked.wait(60)
        taken_over = scheduler.seat(champion(params, new, version=2))
        assert not old.closed
        held.let_go.set()
        taken_over.result(60)
        late = Asked(scheduler, "3 + 1?")
        assert [asked.version for asked in (running, waiting, late)] == [1, 1, 2]
        assert [asked.answer for asked in (running, waiting, late)] == ["100", "100", "200"]
        until(lambda: old.closed)
        assert not new.closed
    assert new.closed


def test_a_version_whose_team_cannot_be_had_is_let_go_and_the_one_before_serves_on(params: Params) -> None:
    raw = params.model_dump(mode="json", by_alias=True)
    raw["team"]["guesser"]["server"] = {"urls_env": "NOBODYS_URLS"}
    old, new = leads_with("100"), leads_with("200")
    with seated(CONFIG, champion(params, old), ScriptedModels(reply)) as scheduler:
        with pytest.raises(ConfigError, match="NOBODYS_URLS is not set"):
            scheduler.seat(champion(parse_params(raw), new, version=2)).result(60)
        assert (new.closed, scheduler.champion is not None and scheduler.champion.version) == (True, 1)
        assert Asked(scheduler, "1 + 1?").answer == "100"


def test_a_leader_alone_asks_nobody_else(params: Params) -> None:
    team = ScriptedModels(reply)
    with seated(CONFIG, champion(params, ScriptedModels(reply)), team) as scheduler:
        assert Asked(scheduler, "1 + 1?", model=f"{LEADER}-solo").answer == "2"
    assert team.backend.num_calls == 0

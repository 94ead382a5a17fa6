"""A server follows the alias `champion`: when a version is loaded, and how often one that can't be served."""

from __future__ import annotations

import asyncio

import pytest

from mlpo.config import ConfigError, Params, parse_params
from mlpo.inference.scripted import ScriptedModels
from mlpo.serving.champion import Champion
from mlpo.serving.server import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, Patience, _follow
from tests.serving.conftest import reply
from tests.serving.seated import champion, seated


class Registry:
    """Version 2 is champion for 20 looks, then version 3; 2 can't be served."""

    def __init__(self, params: Params, fails: str) -> None:
        self.num_looks = 0
        self.opened: list[int] = []
        self._params, self._fails = params, fails

    def look_up(self) -> int:
        self.num_looks += 1
        return 2 if self.num_looks <= 20 else 3

    def open_version(self, number: int) -> Champion:
        self.opened.append(number)
        if number == 3:
            return champion(self._params, ScriptedModels(reply), 3)
        if self._fails == "opening":
            raise ConfigError("its folder is not here")
        raw = self._params.model_dump(mode="json", by_alias=True)
        raw["team"]["guesser"]["server"] = {"urls_env": "URLS_OF_NOBODY"}
        return champion(parse_params(raw), ScriptedModels(reply), 2)


@pytest.mark.parametrize(
    ("fails", "told"), [("opening", "its folder is not here"), ("its team", "URLS_OF_NOBODY is not set")]
)
def test_a_version_that_can_not_be_served_is_not_tried_at_every_look_and_the_next_one_is_at_once(
    params: Params, fails: str, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    registry = Registry(params, fails)

    async def until_version_3_serves() -> None:
        following = asyncio.create_task(_follow(scheduler, registry.look_up, registry.open_version, 0.01))
        async with asyncio.timeout(FIRST_PAUSE_SECONDS):
            while scheduler.champion is None or scheduler.champion.version != 3:
                await asyncio.sleep(0.01)
        following.cancel()

    with seated(params.serve, champion(params, ScriptedModels(reply)), ScriptedModels(reply)) as scheduler:
        asyncio.run(until_version_3_serves())
    assert registry.opened == [2, 3]
    [record] = [each for each in caplog.records if each.name == "mlpo.serving"]  # not a thread of another test
    assert told in record.message


def test_the_pause_doubles_up_to_its_longest_and_another_version_begins_anew() -> None:
    patience, pauses = Patience(), []
    for _ in range(7):
        patience.failed(2, now=100.0)
        pauses.append(patience.pause)
    assert pauses == [FIRST_PAUSE_SECONDS * n for n in (1, 2, 4, 8, 16)] + [LONGEST_PAUSE_SECONDS] * 2  # 32 x 30 > 600
    assert not patience.allows(2, now=100.0 + LONGEST_PAUSE_SECONDS - 1)
    assert patience.allows(2, now=100.0 + LONGEST_PAUSE_SECONDS)
    assert patience.allows(3, now=100.0)
    patience.failed(3, now=100.0)
    assert patience.pause == FIRST_PAUSE_SECONDS

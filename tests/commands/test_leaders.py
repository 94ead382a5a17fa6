"""`mlpo leaders`, `promote`, `rollback`, `lineage`: what a person is shown."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from mlpo.commands import leaders
from mlpo.config import ConfigError, Params
from mlpo.tracking.connect import connect


def listed() -> list[str]:
    screen = io.StringIO()
    leaders.show_leaders(Console(file=screen, width=140, no_color=True))
    return [line for line in screen.getvalue().splitlines() if line.strip()]


@pytest.fixture
def two_versions(house: Path) -> None:
    """Version 1, whose tags are those of a registered leader, and version 2, which somebody made by hand."""
    client = connect().client
    client.create_registered_model("leader")
    tags = {
        "evaluation.accuracy": "0.5", "evaluation.interval": "[0.25, 0.75]", "evaluation.n": "301",
        "evaluation.invalid_rate": "0.0", "leader.evaluation_problems": "0123456789abcdef",
        "leader.base_model": "embedded@b179c9523d0e", "leader.weights": "w0",
    }  # fmt: skip
    client.create_model_version("leader", source=str(house), tags=tags)
    client.create_model_version("leader", source=str(house))
    client.set_registered_model_alias("leader", "champion", "1")


@pytest.mark.usefixtures("two_versions")
def test_leaders_are_listed_newest_first_with_what_can_be_compared() -> None:
    *_, second, first = listed()
    assert second.split()[:3] == ["2", "not", "evaluated"]
    assert first.split()[:5] == ["1", "0.500", "[0.250,", "0.750]", "301"]
    assert first.split()[5] == "01234567"
    assert first.split()[-2:] == ["embedded@b179c9523d0e", "champion"]


@pytest.mark.usefixtures("two_versions")
def test_a_decision_is_printed_in_one_line(params: Params, capsys: pytest.CaptureFixture[str]) -> None:
    leaders.promote(params, "2")
    assert capsys.readouterr().out.startswith("version 2 was not promoted: ")
    leaders.promote(params, "2", force=True, reason="a first one is needed")
    assert capsys.readouterr().out.startswith("version 2 is champion: forced: a first one is needed")
    leaders.rollback()
    assert capsys.readouterr().out == "version 1 is champion: rolled back from version 2\n"


@pytest.mark.usefixtures("two_versions")
def test_lineage_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    leaders.show_lineage("1")
    assert json.loads(capsys.readouterr().out)["version"] == 1


@pytest.mark.usefixtures("two_versions")
@pytest.mark.parametrize("version", ["champion", "0", "-1", "1.5", "9" * 30])
def test_a_version_is_named_by_its_number(params: Params, version: str) -> None:
    with pytest.raises(ConfigError, match="is no leader version; name one by its number"):
        leaders.promote(params, version)

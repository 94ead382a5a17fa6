"""Parameters: every one is explained, and a wrong one is refused by name with the mend."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from mlpo.config import (
    RIVALS,
    AgentConfig,
    ConfigError,
    LoraConfig,
    Params,
    ServerConfig,
    digest,
    load_params,
    parse_params,
)

ROOT = Path(__file__).parents[1]
RAW: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))


def fields(section: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str | None]]:
    for name, info in section.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from fields(kind, f"{prefix}{name}.")
        else:
            yield prefix + name, info.description


def changed(path: str, value: Any) -> dict[str, Any]:
    raw = copy.deepcopy(RAW)
    *sections, key = path.split(".")
    place = raw
    for section in sections:
        place = place[section]
    place[key] = value
    return raw


def test_no_example_may_be_asked_of_a_family_that_is_not_drawn() -> None:
    assert parse_params(changed("team.alpha.shots", {"history": 0})).team["alpha"].shots == {"history": 0}


def test_the_order_of_the_team_in_the_file_is_nothing():
    team = RAW["team"]
    backwards = parse_params(changed("team", dict(reversed(team.items()))))
    assert list(backwards.team) == sorted(team)
    assert backwards == parse_params(RAW)


INNER = ((AgentConfig, "team.<name>."), (ServerConfig, "leader.server."), (LoraConfig, "train_sft.lora."))


@pytest.mark.parametrize(("name", "meaning"), [*fields(Params), *(f for inner in INNER for f in fields(*inner))])
def test_every_parameter_has_a_meaning(name: str, meaning: str | None):
    assert meaning, f"{name} needs a docstring in mlpo/config/"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("rounds.num_round", 3, "params.yaml: rounds.num_round is unknown; did you mean num_rounds?"),
        ("team.alpha.modl", "x", "params.yaml: team.alpha.modl is unknown; did you mean model?"),
        ("propose.samples", 0, "params.yaml: propose.samples: Input should be greater than or equal to 1 (got 0)"),
        ("team.leader", {}, "an agent may not be called 'leader'; rename it"),
        (
            "train_mlpo.lora",
            {"rank": 8},
            "train_mlpo: lora and trainable_layers each choose what is trained; set one of them to null",
        ),
        ("train_sft.lora", {"rnk": 8}, "train_sft.lora.rnk is unknown; did you mean rank?"),
        ("team.alpha.quantize", "2bit", "team.alpha.quantize: Input should be '8bit' or '4bit' (got '2bit')"),
        (
            "team.alpha",
            {"quantize": "4bit", "server": {"serve": "vllm"}},
            "team.alpha: quantize: a server chooses how it holds its weights; leave quantize out, or server",
        ),
        ("prepare.source", "path", "prepare: source: path and path: <folder> go together; set both or neither"),
        ("prepare.revision", "abc", "prepare: revision is the hub's; set source: hub or leave it out"),
        ("prepare.families", ["all", "capital"], "prepare: families: [all] stands alone"),
        (
            "runtime.device",
            "mps",
            "params.yaml: runtime.device: String should match pattern '^(auto|cpu|cuda(:\\d+)?)$'",
        ),
        ("evaluate.rivals", ["debat"], "params.yaml: evaluate.rivals: debat is unknown; did you mean debate?"),
        ("evaluate.rivals", ["oracle"], "evaluate.rivals: oracle is unknown; there are debate, mixture_of_agents,"),
        ("evaluate.rivals", ["debate", "debate"], "evaluate.rivals: a rival is named twice; name each once"),
        (
            "rounds.agreement_samples",
            2,
            "rounds.agreement_samples must be 1 or propose.samples (1), which training shows",
        ),
        ("team.alpha.shots", {"history": 1}, "shots name families that prepare.families does not hold: history"),
    ],
)
def test_a_wrong_parameter_is_named_with_its_mend(path: str, value: Any, message: str):
    with pytest.raises(ConfigError) as refusal:
        parse_params(changed(path, value))
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_leader_that_asks_by_how_sure_it_is_is_not_told_of_agreement():
    both = changed("rounds", {"agreement_samples": 3, "continue": "while_unsure"}) | {"propose": {"samples": 3}}
    with pytest.raises(ConfigError, match="a leader that asks by how sure it is was not made to be told of agreement"):
        parse_params(both)


def test_agents_are_asked_one_by_one_only_by_a_leader_that_stops_where_it_is_sure():
    by_one = changed("consult", {"one_by_one": True})
    with pytest.raises(ConfigError, match=r"consult\.one_by_one needs a leader that stops where it is sure: set"):
        parse_params(by_one)
    unsure = by_one | {"consult": {"one_by_one": True, "when": "unsure"}}
    with pytest.raises(ConfigError, match=r"goes by how sure each agent is: set rounds\.tell_certainty to true and"):
        parse_params(unsure | {"rounds": {"num_rounds": 1}})
    with pytest.raises(ConfigError, match=r"continue: always goes on; set it to while_unsure, or rounds.num_rounds"):
        parse_params(unsure | {"rounds": {"num_rounds": 2, "tell_certainty": True}})
    for rounds in ({"num_rounds": 1}, {"num_rounds": 2, "continue": "while_unsure"}):
        assert parse_params(unsure | {"rounds": rounds | {"tell_certainty": True}}).is_selective


URL = "http://127.0.0.1:8000/v1"
HIDDEN = "sk-verysecret"


@pytest.mark.parametrize(
    ("server", "message"),
    [
        ({"urls": [URL], "concurency": 3}, "server.concurency is unknown; did you mean concurrency?"),
        ({}, "server: name one of urls, urls_env and serve"),
        ({"urls": [URL], "serve": "vllm"}, "server: name one of urls, urls_env and serve"),
        ({"urls": [URL], "urls_env": "JUDGE_URLS"}, "server: name one of urls, urls_env and serve"),
        ({"serve": "sglang"}, "server.serve: Input should be 'vllm'"),
        ({"urls": [URL, "127.0.0.1:8000"]}, "server: URL 2 is not like http://host:port/v1"),
        ({"urls": [f"http://me:{HIDDEN}@host/v1"]}, "server: URL 1 is not like http://host:port/v1"),
        ({"urls": f"http://me:{HIDDEN}@host/v1"}, "server.urls: Input should be a valid tuple"),
        ({"urls": [URL], "api_key_env": HIDDEN}, "server: api_key_env must be the name of an environment variable"),
        ({"urls_env": "MY URLS"}, "server: urls_env must be the name of an environment variable"),
        ({"urls": [URL], "vllm_args": ["--dtype", "half"]}, "server: vllm_args needs serve: vllm"),
        ({"urls": [URL], "concurrency": 0}, "server.concurrency: Input should be greater than or equal to 1 (got 0)"),
        (
            {"urls": [URL], "samples_per_request": 129},
            "server.samples_per_request: Input should be less than or equal to 128 (got 129)",
        ),
        ({"urls": [URL], "timeout_seconds": 0}, "server.timeout_seconds: Input should be greater than 0 (got 0)"),
        ({"urls": [URL], "total_seconds": -1.0}, "server.total_seconds: Input should be greater than 0 (got -1.0)"),
    ],
)
def test_a_wrong_server_is_one_line_that_names_the_key_and_tells_no_secret(server: dict[str, Any], message: str):
    with pytest.raises(ConfigError) as refusal:
        parse_params(changed("team.alpha.server", server))
    told = str(refusal.value)
    assert told.startswith(f"params.yaml: team.alpha.{message}")
    assert "\n" not in told
    assert HIDDEN not in told


def test_a_leader_has_no_url_of_its_own():
    with pytest.raises(ConfigError, match=r"leader: server: a leader changes as it is trained.*use serve: vllm"):
        parse_params(changed("leader.server", {"urls": [URL]}))


def test_who_never_asked_the_leader_cannot_weigh_by_its_failure():
    raw = changed("train_mlpo.failure_weight", 0.5)
    parse_params(raw)
    raw["demonstrate"]["leader_samples"] = 0
    with pytest.raises(ConfigError, match=r"failure_weight needs demonstrate.leader_samples of at least 1"):
        parse_params(raw)


def test_a_team_of_one_has_nobody_to_debate_with():
    raw = changed("evaluate.rivals", ["deferral", "debate"])
    parse_params(raw)
    raw["team"] = {"alpha": raw["team"]["alpha"]}
    with pytest.raises(ConfigError, match=r"evaluate.rivals: debate need a team of at least 2 agents; leave them out"):
        parse_params(raw)


def test_the_docs_explain_every_rival():
    rows = [line for line in (ROOT / "docs/strategies.md").read_text().splitlines() if line.startswith("| `")]
    named = [row.split("`")[1] for row in rows]
    assert [name for name in named if name in RIVALS] == list(RIVALS)


def test_all_mistakes_are_told_at_once():
    raw = changed("rounds.num_round", 3) | {"seeds": 1}
    with pytest.raises(ConfigError, match=r"num_rounds\?.*did you mean seed\?"):
        parse_params(raw)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"a: [", "not valid YAML"),
        (b"- 1", "expected a mapping"),
        (b"seed: 1 # \xff", r"params.yaml: not UTF-8 text \(byte 10\)"),
        (b"seed: \0", "not valid YAML"),
    ],
)
def test_a_broken_file_is_one_line(tmp_path: Path, content: bytes | None, message: str):
    path = tmp_path / "params.yaml"
    if content is not None:
        path.write_bytes(content)
    refused(path, message)


def test_what_is_no_file_is_one_line(tmp_path: Path):
    refused(tmp_path, f"{tmp_path}: cannot be read: Is a directory; name a YAML file")
    (tmp_path / "params.yaml").touch()
    refused(tmp_path / "params.yaml" / "seed", "seed: cannot be read: Not a directory")


def refused(path: Path, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as refusal:
        load_params(path)
    assert "\n" not in str(refusal.value)


def test_equal_values_have_equal_digests():
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1}) != digest({"a": 1, "b": [3]})
    assert digest(parse_params(RAW)) == digest(parse_params(copy.deepcopy(RAW)))

"""The team's prompts: worked examples take turns by family, as many as asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlpo.config import AgentConfig, ReferenceConfig, SamplingConfig, parse_params
from mlpo.layout import SHOT_PROBLEMS, passages_of
from mlpo.method.prompts import agent_messages
from mlpo.store import write_jsonl_atomic
from mlpo.team.prompts import agent_prompt, index_of
from mlpo.team.sampling import sampling_of, team_sampling
from mlpo.types import Passage, Problem, Sampling


def test_families_take_turns(house: Path) -> None:
    shots = [Problem(f"{f}{n}", "basics", f, f"{f} {n}?", str(n), "word") for f in ("sum", "plural") for n in range(3)]
    write_jsonl_atomic(SHOT_PROBLEMS, shots)
    prompt = agent_prompt("adder", AgentConfig(shots={"plural": 3, "sum": 1}))
    assert [p.id for p in prompt.shots] == ["plural0", "sum0", "plural1", "plural2"]
    assert agent_prompt("adder", AgentConfig(system="Be brief.")).shots == ()


def test_examples_that_its_documents_answer_come_first_and_are_shown_with_their_passage(house: Path) -> None:
    shots = [Problem(f"s{n}", "basics", "sum", f"{n} + {n}?", str(2 * n), "integer") for n in (1, 2, 3)]
    write_jsonl_atomic(SHOT_PROBLEMS, shots)
    write_jsonl_atomic(passages_of("adder"), [Passage("3 + 3 is 6."), Passage("1 + 1 is a sum.")])
    agent = AgentConfig(shots={"sum": 2}, reference=ReferenceConfig(source="notes.md"))
    prompt = agent_prompt("adder", agent)
    assert [p.id for p in prompt.shots] == ["s3", "s1"]
    shown = [m.content for m in agent_messages(prompt, shots[1]) if m.role == "user"]
    assert shown[0] == "Note: 3 + 3 is 6.\n3 + 3?"


def test_the_index_is_built_once_as_long_as_the_file_stays(house: Path) -> None:
    path = passages_of("adder")
    write_jsonl_atomic(path, [Passage("red")])
    first = index_of(path, 1)
    assert index_of(path, 1) is first
    write_jsonl_atomic(path, [Passage("green apple")])
    assert index_of(path, 1).look_up("apple") == (Passage("green apple"),)


def test_sampling_is_taken_over_field_by_field() -> None:
    config = SamplingConfig(temperature=0.5, top_p=0.8, max_tokens=7, stop=("\n",))
    assert sampling_of(config) == Sampling(temperature=0.5, top_p=0.8, max_tokens=7, stop=("\n",))


@pytest.mark.parametrize("told", [True, False])
def test_agents_are_asked_how_sure_they_are_where_the_leader_is_told(raw_params: dict[str, Any], told: bool) -> None:
    params = parse_params(raw_params | {"rounds": {"tell_certainty": told}})
    assert {sampling.entropy for sampling in team_sampling(params).values()} == {told}

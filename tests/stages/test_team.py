"""The team's prompts: worked examples take turns by family, as many as asked for."""

from __future__ import annotations

from pathlib import Path

from mlpo.config import AgentConfig, SamplingConfig
from mlpo.layout import SHOT_PROBLEMS
from mlpo.stages.team import agent_prompt, sampling_of
from mlpo.store import write_jsonl_atomic
from mlpo.types import Problem, Sampling


def test_families_take_turns(house: Path) -> None:
    shots = [Problem(f"{f}{n}", "basics", f, f"{f} {n}?", str(n), "word") for f in ("sum", "plural") for n in range(3)]
    write_jsonl_atomic(SHOT_PROBLEMS, shots)
    prompt = agent_prompt("adder", AgentConfig(shots={"plural": 3, "sum": 1}))
    assert [p.id for p in prompt.shots] == ["plural0", "sum0", "plural1", "plural2"]
    assert agent_prompt("adder", AgentConfig(system="Be brief.")).shots == ()


def test_sampling_is_taken_over_field_by_field() -> None:
    config = SamplingConfig(temperature=0.5, top_p=0.8, max_tokens=7, stop=("\n",))
    assert sampling_of(config) == Sampling(temperature=0.5, top_p=0.8, max_tokens=7, stop=("\n",))

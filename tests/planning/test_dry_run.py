"""`mlpo run --dry-run`: the parameter sets of configs/ can be planned, and what cannot work is refused by name."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from mlpo.config import ConfigError, LoraConfig, Params, load_params, parse_params
from mlpo.planning import dry_run
from mlpo.planning.plan import make_plan
from mlpo.planning.prompt_lengths import read_questions, tokens_of
from mlpo.planning.stage_plans import Planner, StagePlan
from tests.training.conftest import tiny_folder  # noqa: F401 - a fixture

ROOT = Path(__file__).parents[2]
SETS = sorted((ROOT / "configs").glob("*.yaml"))


def printed(params: Params, **options: Any) -> str:
    console = Console(file=io.StringIO(), width=160)
    dry_run.run(params, console, source="params.yaml", **options)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def stages(params: Params) -> dict[str, StagePlan]:
    return {stage.name: stage for stage in make_plan(params).stages}


@pytest.fixture
def raw(tiny_folder: Path) -> dict[str, Any]:  # noqa: F811
    """A team of two and a leader, all tiny, on the made benchmark."""
    agent = {"model": str(tiny_folder), "sampling": {"max_tokens": 10}}
    return {
        "team": {"one": {**agent, "shots": {"product": 2}}, "two": dict(agent)},
        "leader": {"model": str(tiny_folder)},
        "rounds": {"num_rounds": 2, "max_draft_tokens": 20},
        "runtime": {"dtype": "float32", "batch_tokens": 1000, "micro_batch_tokens": 500},
        "prepare": {"families": ["product"], "num_train": 20, "num_calibration": 4, "num_test": 10},
        "propose": {"samples": 3},
        "train_sft": {"epochs": 2, "batch_size": 4},
        "demonstrate": {"max_demonstrations": 9, "sampling": {"max_tokens": 10}},
        "train_mlpo": {"steps": 5, "prompts_per_step": 2, "group_size": 4, "updates_per_batch": 2,
                       "max_completion_tokens": 20},
    }  # fmt: skip


@pytest.mark.parametrize("path", SETS, ids=[path.stem for path in SETS])
def test_the_sets_beside_the_default_can_be_planned_and_fit_gpus_of_80_gb(path: Path) -> None:
    text = printed(load_params(path), memory_gb=80)
    assert "It fits 80 GB" in text
    assert "the longest question" not in text
    for word in ("train_mlpo", "evaluate", load_params(path).leader.model, "parameters", "tokens in"):
        assert word in text


def test_the_paper_says_three_agents_five_rounds_four_proposals() -> None:
    params = load_params(ROOT / "configs" / "paper.yaml")
    assert (len(params.team), params.rounds.num_rounds, params.propose.samples) == (3, 5, 4)


def test_the_papers_leader_fits_eight_gpus_or_two_with_adapters_but_not_one() -> None:
    params = load_params(ROOT / "configs" / "paper.yaml")
    assert (params.train_sft.lora, params.train_mlpo.lora, params.runtime.processes) == (None, None, 8)
    alone = params.model_copy(update={"runtime": params.runtime.model_copy(update={"shard": False})})
    # 7.6e9 x (4 + 4 + 8 + 2 + 2) bytes are 152 GB before any activation
    with pytest.raises(ConfigError, match=r"train_mlpo needs about 1\d\d\.\d GB of 80; .*set lora .*runtime\.shard"):
        printed(alone, memory_gb=80)
    adapters = {"lora": LoraConfig(rank=64)}
    small = {name: getattr(alone, name).model_copy(update=adapters) for name in ("train_sft", "train_mlpo")}
    with pytest.raises(ConfigError, match=r"train_mlpo needs about \d\d\.\d GB of 80"):
        printed(alone.model_copy(update=small), memory_gb=80)
    two = {"runtime": params.runtime.model_copy(update={"processes": 2})}
    assert "It fits 80 GB" in printed(params.model_copy(update=small | two), memory_gb=80)


def test_every_stage_is_counted(raw: dict[str, Any]) -> None:
    found = stages(parse_params(raw))
    assert list(found) == [
        "prepare", "propose@one", "propose@two", "demonstrate", "train_sft", "headroom", "train_mlpo", "calibrate",
        "evaluate",
    ]  # fmt: skip
    # 20 x 3 + 4 + 10 completions of at most 10 tokens
    assert (found["propose@one"].completions, found["propose@one"].tokens_out) == (74, 740)
    # two worked examples more than the other agent: two questions and answers, four messages
    more = (found["propose@one"].tokens_in - found["propose@two"].tokens_in) / 34
    assert more > 4 * 8
    # 9 demonstrations twice in batches of 4: 5 steps
    assert (found["train_sft"].prompts, found["train_sft"].steps) == (18, 5)
    # 3 batches of roll-outs serve 5 steps: 6 prompts, 24 completions
    assert (found["train_mlpo"].prompts, found["train_mlpo"].completions, found["train_mlpo"].steps) == (6, 24, 5)
    # 4 calibration problems: alone, and alone, 2 drafts and two agents in round 1
    assert (found["headroom"].completions, found["calibrate"].completions) == (4, 4 * (3 + 2))
    # three leaders of 2 rounds, two of them alone too, and two agents in round 1 of each: 6 + 2 + 6
    assert found["evaluate"].completions == 10 * (6 + 2 + 6)


def test_what_an_agent_looks_up_is_counted_before_every_question(raw: dict[str, Any]) -> None:
    without = stages(parse_params(raw))["propose@one"]
    raw["team"]["one"]["reference"] = {"source": "notes", "top_k": 2, "max_characters": 300}
    found = stages(parse_params(raw))["propose@one"]
    # 34 prompts, each with its own question and two worked examples: 3 x 2 passages of 300 characters
    assert (found.tokens_in - without.tokens_in) / 34 > 3 * 2 * 300 / 5


def test_what_stays_loaded_together_is_added_up_once_per_model(raw: dict[str, Any]) -> None:
    # both agents are one model and the trained leader another
    together, alone = (stages(parse_params(raw))[name].memory for name in ("evaluate", "propose@one"))
    assert together is not None
    assert alone is not None
    assert together.weights == 2 * alone.weights


@pytest.mark.parametrize(
    ("section", "change", "message"),
    [
        ("runtime", {"micro_batch_tokens": 64}, "over runtime.micro_batch_tokens 64; raise it"),
        ("rounds", {"max_draft_tokens": 600}, "one would read and write about .* over the context of 512"),
        (
            "train_mlpo",
            {"max_completion_tokens": 480},
            "the leader would read and write about .* over its context of 512",
        ),
        ("prepare", {"families": ["history"], "num_train": 1}, "has no family 'history'"),
        ("prepare", {"families": ["product"], "num_train": 10**6}, "lower num_train, num_calibration or num_test"),
        ("prepare", {"benchmark": "gsm9k", "families": ["all"]}, "prepare.benchmark: Input should be 'basics'"),
    ],
)
def test_what_cannot_work_is_refused(raw: dict[str, Any], section: str, change: dict[str, Any], message: str) -> None:
    raw["team"]["one"]["shots"] = {}
    with pytest.raises(ConfigError, match=message):
        printed(parse_params(raw | {section: {**raw.get(section, {}), **change}}))


@pytest.mark.parametrize(
    ("package", "change"), [("bitsandbytes", {"quantize": "8bit"}), ("vllm", {"server": {"serve": "vllm"}})]
)
def test_an_agent_whose_package_is_missing_is_refused(
    raw: dict[str, Any], package: str, change: dict[str, Any]
) -> None:
    if importlib.util.find_spec(package) is not None:
        pytest.skip(f"{package} is installed")
    raw["team"]["two"] |= change
    with pytest.raises(ConfigError, match=f"two: .*{package}, which is not installed: pip install"):
        printed(parse_params(raw))


def test_roll_outs_by_vllm_are_counted_and_refused_where_it_is_not_installed(
    raw: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = stages(parse_params(raw))["train_mlpo"].memory
    raw["train_mlpo"] |= {"rollout_engine": "vllm"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "vllm" else object())
    with pytest.raises(ConfigError, match=r"train_mlpo.rollout_engine is vllm, .*: pip install 'mlpo\[gpu\]'"):
        printed(parse_params(raw))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    text = printed(parse_params(raw))
    assert "Nothing speaks against it" in text
    inside = stages(parse_params(raw))["train_mlpo"].memory
    assert own is not None
    assert inside is not None
    assert inside.weights == 2 * own.weights  # in float32 our sampler needs no weights of its own
    assert inside.total > own.total + 10**9
    raw["runtime"] |= {"batch_tokens": 100}
    with pytest.raises(ConfigError, match=r"vLLM has keys for runtime.batch_tokens 100, not for \d+; raise it"):
        printed(parse_params(raw))


@pytest.mark.parametrize(
    ("section", "change", "warning"),
    [
        ("leader", {"model": "somebody/secret"}, "leader: the size of somebody/secret is not known"),
        ("runtime", {"shard": True}, "runtime.shard shares nothing out with runtime.processes 1"),
        ("evaluate", {"rivals": ["debate"]}, "what evaluate.rivals ask is not counted"),
        # 240 characters are 69 tokens, and two of them more than the leader's 20
        ("team", {"two": {"model": "x/y-1B", "sampling": {"max_tokens": 70}}}, "two completions of about 69 tokens"),
    ],
)
def test_what_is_not_known_or_may_go_wrong_is_said(
    raw: dict[str, Any], section: str, change: dict[str, Any], warning: str
) -> None:
    assert "warning" not in printed(parse_params(raw))
    text = printed(parse_params(raw | {section: {**raw.get(section, {}), **change}}))
    assert warning in " ".join(text.split())


def test_a_question_longer_than_most_is_warned_of(raw: dict[str, Any]) -> None:
    raw["team"]["one"]["shots"] = {}
    raw["prepare"]["families"] = ["capital"]
    raw["runtime"]["micro_batch_tokens"] = 1000
    params = parse_params(raw)
    questions = read_questions(params)
    assert questions.longest > questions.mean
    # the mean question just fits the context of 512
    raw["train_mlpo"]["max_completion_tokens"] = 512 - Planner(params, questions, ()).leader_prompt(questions.mean)
    assert "warning: the longest question: the leader would read and write about" in printed(parse_params(raw))


def test_tokens_are_rounded_up() -> None:
    assert [tokens_of(n) for n in (0, 1, 7, 8)] == [0, 1, 2, 3]  # 3.5 characters each

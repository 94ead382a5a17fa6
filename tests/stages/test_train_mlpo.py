"""Stage `train_mlpo` on a real, tiny leader, warmed up on right and wrong answers so that there is a choice."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import load_file

from mlpo.config import ConfigError, Params, parse_params
from mlpo.equivalence import is_equivalent
from mlpo.files import write_json_atomic
from mlpo.inference.scripted import ScriptedModels
from mlpo.layout import MLPO_CURVE, MLPO_LEADER, MLPO_TUPLES, ROLLOUTS, SFT_LEADER, SOLO_ACCURACY, TRAIN_PROBLEMS, WORK
from mlpo.method.prompts import leader_messages, solo_messages
from mlpo.models.identity import weights_digest
from mlpo.models.load import load_model, save_model
from mlpo.stages import propose, train_mlpo
from mlpo.store import read_jsonl
from mlpo.team.proposals import read_proposal_sets
from mlpo.training.run_folder import RunFolder
from mlpo.training.sft import train_sft
from mlpo.types import Completion, Demonstration, Problem, Request
from tests.training.conftest import tiny_folder  # noqa: F401 - a fixture

MakeParams = Callable[..., Params]


def reply(request: Request) -> str:
    """The adder is right in sample 0, the guesser never; asked again with a draft, they say so."""
    if any("Your leader says" in message.content or "leader" in message.content for message in request.messages):
        return "again"
    right = int(re.findall(r"(\d+) \+ 1\?", request.messages[-1].content)[-1]) + 1
    return str(right if request.model == "adder" and request.sample == 0 else right + 5)


@pytest.fixture(scope="module")
def warm(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    """A leader that answers in the right form, sometimes rightly."""
    from mlpo.config import RuntimeConfig, TrainSftConfig

    rows = []
    for n in range(3):
        problem = Problem(f"train{n:06d}", "basics", "sum", f"{n} + 1?", str(n + 1), "integer")
        said = tuple(Completion(problem.id, a, str(n + 1 + k), "stop", 1, 1) for a, k in (("adder", 0), ("guesser", 5)))
        for messages in (solo_messages(problem), leader_messages(problem, said)):
            for answer in (n + 1, n + 6):
                text = f"<think></think><answer>{answer}</answer>"
                rows.append(Demonstration(problem.id, "sum", "solo_confirm", messages, text))
    leader = load_model(str(tiny_folder), device="cpu", dtype="float32")
    config = TrainSftConfig(epochs=25, batch_size=6, learning_rate=0.01)
    folder = tmp_path_factory.mktemp("warm")
    train_sft(leader, rows, config, seed=0, runtime=RuntimeConfig(), run_folder=RunFolder(folder / "work"))
    save_model(leader.model, leader.tokenizer, folder / "sft")
    return folder / "sft"


@pytest.fixture
def make_params(house: Path, raw_params: dict[str, Any], warm: Path) -> MakeParams:
    """Parameters with changes to section train_mlpo, beside the team's proposals and a warmed-up leader."""
    small = {
        "steps": 3, "prompts_per_step": 4, "group_size": 4, "max_completion_tokens": 36, "save_steps": 2,
        "learning_rate": 1e-3,
    }  # fmt: skip

    def make(**changes: Any) -> Params:
        own = {key: changes.pop(key) for key in ("rounds", "seed") if key in changes}
        # in bfloat16, which a CPU may have, two processes round otherwise than one
        return parse_params(raw_params | own | {"train_mlpo": small | changes, "runtime": {"dtype": "float32"}})

    for agent in make().team:
        propose.run(make(), agent, models=ScriptedModels(reply))
    shutil.copytree(warm, SFT_LEADER)
    return make


def outputs() -> tuple[str, bytes, bytes, bytes]:
    return (weights_digest(MLPO_LEADER), MLPO_CURVE.read_bytes(), MLPO_TUPLES.read_bytes(), ROLLOUTS.read_bytes())


def test_a_run_leaves_leader_curve_tuples_and_rollouts_the_same_bytes_each_time(make_params: MakeParams) -> None:
    train_mlpo.run(make_params())
    first = outputs()
    assert first[0] != weights_digest(SFT_LEADER)
    load_model(str(MLPO_LEADER), device="cpu")
    table = pd.read_parquet(ROLLOUTS)
    assert len(table) == 3 * 4 * 4
    assert set(table["tuple"]) > {"solo"}
    assert 0 < table["correct"].mean() < 1
    assert not (WORK / "training" / "train_mlpo").exists()
    train_mlpo.run(make_params())
    assert outputs() == first


@pytest.mark.slow
def test_two_processes_that_share_the_weights_out_leave_what_one_leaves(make_params: MakeParams, house: Path) -> None:
    train_mlpo.run(make_params())
    alone = results()
    shutil.rmtree(MLPO_LEADER)
    raw = make_params().model_dump(mode="json", by_alias=True)
    raw["runtime"] |= {"device": "cpu", "processes": 2, "shard": True}
    (house / "params.yaml").write_text(yaml.safe_dump(raw))
    command = [sys.executable, "-m", "mlpo.cli", "train_mlpo"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("train_mlpo: 3 of 3 steps") == 1
    together = results()
    for one, other in zip(alone[0], together[0], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    for table, same in zip(alone[1:], together[1:], strict=True):
        pd.testing.assert_frame_equal(table, same, rtol=1e-3, atol=1e-5)
    assert (WORK / "training" / "train_mlpo-processes" / "process-1.log").exists()


def results() -> tuple[list[torch.Tensor], pd.DataFrame, pd.DataFrame]:
    """What a run left: weights in order of their names, curve, roll-outs."""
    weights = sorted(load_file(MLPO_LEADER / "model.safetensors").items())
    rollouts = pd.read_parquet(ROLLOUTS, columns=["problem", "completion", "reward", "advantage"])
    return [weight for _, weight in weights], pd.read_csv(MLPO_CURVE), rollouts


@pytest.mark.slow
def test_another_seed_gives_other_rollouts(make_params: MakeParams) -> None:
    train_mlpo.run(make_params())
    first = outputs()
    train_mlpo.run(make_params(seed=1))
    assert outputs()[3] != first[3]


@pytest.mark.slow
def test_the_report_counts_problems_tuples_and_prompts(make_params: MakeParams) -> None:
    # 3 problems of 2 x 2 proposals, one of four right: none is easy. Both tuples of a problem: 0 or 1 right.
    train_mlpo.run(make_params(steps=2, solo_share=0.25))
    report = json.loads(MLPO_TUPLES.read_text())
    assert report["problems"] == {"all": 3, "hard": 3, "easy": 0, "easy_kept": 0, "kept": 3}
    assert report["tuples_by_number_correct"] == {"0": 3, "1": 3}
    shown = pd.read_parquet(ROLLOUTS).drop_duplicates(["step", "prompt"])["proposals_correct"]
    by_number = {str(int(number)): int(count) for number, count in shown.value_counts().items()}
    counts = {"all": 8, "solo": 2, "refreshed": 0, "hostile": 0, "by_team_size": {"2": 6}}
    assert report["prompts"] == counts | {"by_number_correct": by_number}
    assert sum(by_number.values()) == 6


def test_easy_problems_are_dropped_by_the_threshold(make_params: MakeParams) -> None:
    with pytest.raises(ConfigError, match=r"all 3 problems are easy .*easy_threshold \(now 0\.25\)"):
        train_mlpo.run(make_params(easy_threshold=0.25))
    assert not MLPO_TUPLES.exists()


def test_vllm_is_refused_before_anything_is_read_where_it_is_not_installed(
    raw_params: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"rollout_engine is vllm, which is not installed: pip install"):
        train_mlpo.run(parse_params(raw_params | {"train_mlpo": {"rollout_engine": "vllm"}}))


@pytest.mark.slow
def test_without_a_team_every_prompt_is_solo(make_params: MakeParams) -> None:
    train_mlpo.run(make_params(use_team=False, steps=1))
    assert set(pd.read_parquet(ROLLOUTS)["tuple"]) == {"solo"}


def test_where_only_answers_are_shared_the_leader_sees_only_answers(make_params: MakeParams) -> None:
    params = make_params(rounds={"share": "answer"}, solo_share=0.0)
    sets = read_proposal_sets(tuple(params.team), equivalent=is_equivalent)
    talkative = [
        type(s)(s.problem, {a: tuple(_wordy(c) for c in cs) for a, cs in s.proposals.items()}, s.correct) for s in sets
    ]
    shown = {p.text for prompt in train_mlpo.prepare(params, talkative).plan for p in prompt.proposals}
    assert shown
    assert all(text.isdigit() for text in shown)


def test_a_plan_may_hold_smaller_teams_in_any_order_and_a_hostile_agent(make_params: MakeParams) -> None:
    params = make_params(
        steps=20, solo_share=0.0, team_sizes="random", shuffle_order=True, hostile_share=0.5,
    )  # fmt: skip
    sets = read_proposal_sets(tuple(params.team), equivalent=is_equivalent)
    prepared = train_mlpo.prepare(params, sets)
    assert prepared.report["prompts"]["hostile"] == 40
    assert prepared.report["prompts"]["by_team_size"] == {"1": 40, "2": 40}
    assert len({tuple(c.model for c in p.proposals) for p in prepared.plan}) == 4
    targets = {s.problem.target for s in sets}
    for prompt in (p for p in prepared.plan if p.hostile):
        (told,) = (c.text for c in prompt.proposals if c.model == prompt.hostile)
        answer = re.fullmatch(r"I am certain: the answer is (\d+)\.", told)
        assert answer
        assert answer[1] in targets - {prompt.problem.target}


def test_a_plan_may_say_how_sure_the_agents_are_and_a_hostile_one_is_sure(make_params: MakeParams) -> None:
    params = make_params(rounds={"agreement_samples": 2}, solo_share=0.0, hostile_share=0.5)
    plan = train_mlpo.prepare(params, read_proposal_sets(tuple(params.team), equivalent=is_equivalent)).plan
    told = {(c.model, c.agreement) for p in plan for c in p.proposals if c.model != p.hostile}
    assert told == {("adder", (1, 2)), ("guesser", (2, 2))}  # the adder gives another answer in its second sample
    assert {c.agreement for p in plan for c in p.proposals if c.model == p.hostile} == {(2, 2)}
    assert "guesser (2 of 2): " in plan[0].messages[-1].content


def test_a_hostile_agent_is_sure_where_agents_tell_how_sure_they_are(make_params: MakeParams) -> None:
    params = make_params(rounds={"tell_certainty": True}, solo_share=0.0, hostile_share=0.5)
    sets = read_proposal_sets(tuple(params.team), equivalent=is_equivalent)
    unsure = [
        replace(s, proposals={a: tuple(replace(c, entropy=0.3) for c in cs) for a, cs in s.proposals.items()})
        for s in sets
    ]
    plan = train_mlpo.prepare(params, unsure).plan
    assert {c.entropy for p in plan for c in p.proposals if c.model != p.hostile} == {0.3}
    assert {c.entropy for p in plan for c in p.proposals if c.model == p.hostile} == {0.0}
    assert all(p.proposals[0].model == p.hostile for p in plan if p.hostile)  # the surest stands first
    untold = train_mlpo.prepare(params, sets).plan
    assert {c.entropy for p in untold for c in p.proposals} == {None}


def test_where_only_answers_are_shared_a_hostile_agent_shows_its_answer_alone(make_params: MakeParams) -> None:
    params = make_params(rounds={"share": "answer"}, solo_share=0.0, hostile_share=1.0)
    plan = train_mlpo.prepare(params, read_proposal_sets(tuple(params.team), equivalent=is_equivalent)).plan
    told = {c.text for p in plan for c in p.proposals if c.model == p.hostile}
    assert told
    assert told <= {"1", "2", "3"}


def test_problems_that_the_leader_knows_alone_are_met_less_often_with_the_team(make_params: MakeParams) -> None:
    params = make_params(steps=20, failure_weight=0.5)
    sets = read_proposal_sets(tuple(params.team), equivalent=is_equivalent)
    known = sets[0].problem.id
    plan = train_mlpo.prepare(params, sets, {s.problem.id: float(s.problem.id == known) for s in sets}).plan
    met = Counter(p.problem.id for p in plan if p.proposals)
    assert met.total() == 60
    assert met[known] == 12  # weights .5, 1, 1
    assert abs(sum(not p.proposals and p.problem.id == known for p in plan) - 20 / 3) < 1


def test_a_run_weighs_its_problems_by_what_demonstrate_wrote(make_params: MakeParams) -> None:
    params = make_params(failure_weight=1.0, steps=1)
    with pytest.raises(ConfigError, match=r"data/demonstrations/solo\.json: no such file"):
        train_mlpo.run(params)
    write_json_atomic(SOLO_ACCURACY, {"another": 0.5})
    with pytest.raises(ConfigError, match=r"solo\.json: no accuracy for 3 training problems.*mlpo demonstrate"):
        train_mlpo.run(params)
    right = dict.fromkeys((p.id for p in read_jsonl(TRAIN_PROBLEMS, Problem)), 1.0)
    write_json_atomic(SOLO_ACCURACY, right)
    with pytest.raises(ConfigError, match=r"failure_weight: .*right everywhere; set it below 1"):
        train_mlpo.run(params)
    only = sorted(right)[0]
    write_json_atomic(SOLO_ACCURACY, right | {only: 0.5})
    train_mlpo.run(params)
    table = pd.read_parquet(ROLLOUTS)
    assert set(table[table["tuple"] != "solo"]["problem"]) == {only}
    write_json_atomic(SOLO_ACCURACY, right | {only: 2})
    with pytest.raises(ConfigError, match=r"solo\.json: not a share for each problem.*mlpo demonstrate"):
        train_mlpo.run(params)


def _wordy(completion: Completion) -> Completion:
    return Completion(completion.problem_id, completion.model, f"I think \\boxed{{{completion.text}}}", "stop", 1, 1)


@pytest.mark.slow
def test_rounds_in_training_show_what_the_agents_say_to_the_leaders_draft(make_params: MakeParams) -> None:
    train_mlpo.run(make_params(rounds_in_training=1.0, steps=1, solo_share=0.0), models=ScriptedModels(reply))
    table = pd.read_parquet(ROLLOUTS)
    assert {text.split(": ")[1] for row in table["proposals"] for text in row} == {"again"}
    assert set(table["proposals_correct"]) == {0}
    assert json.loads(MLPO_TUPLES.read_text())["prompts"]["refreshed"] == 4


def test_a_missing_leader_is_named(make_params: MakeParams) -> None:
    shutil.rmtree(SFT_LEADER)
    with pytest.raises(ConfigError, match=r"data/leaders/sft: no leader here; run `mlpo train_sft`"):
        train_mlpo.run(make_params())


@pytest.mark.slow
def test_no_steps_hand_on_the_warmed_up_leader(make_params: MakeParams) -> None:
    train_mlpo.run(make_params(steps=0))
    assert weights_digest(MLPO_LEADER) == weights_digest(SFT_LEADER)
    assert pd.read_parquet(ROLLOUTS).empty


@pytest.mark.slow
def test_training_never_meets_a_test_problem(make_params: MakeParams) -> None:
    train_mlpo.run(make_params(steps=2))
    trained = set(pd.read_parquet(ROLLOUTS)["question"])
    assert trained == {p.question for p in read_jsonl(TRAIN_PROBLEMS, Problem)}

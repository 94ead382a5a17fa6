"""Stage `propose`: every completion is paid for once, a stopped run goes on, equal inputs give equal bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlpo.config import ConfigError, Params, parse_params
from mlpo.inference import cache
from mlpo.inference.backend import TransientError, failed
from mlpo.inference.scripted import ScriptedModels
from mlpo.layout import CALIBRATION_PROBLEMS, SHOT_PROBLEMS, TEST_PROBLEMS, TRAIN_PROBLEMS, WORK, proposals_of
from mlpo.method.strategies.baselines import single_agent
from mlpo.stages import propose
from mlpo.store import read_jsonl, read_kept, request_key, write_jsonl_atomic
from mlpo.team.prompts import agent_prompt
from mlpo.team.sampling import sampling_of
from mlpo.types import Completion, Problem, Request

NUM_PROPOSALS = 3 * 2 + 2 + 4
"""3 training problems x 2 samples, 2 calibration and 4 test problems."""


def reply(request: Request) -> str:
    return f"{request.messages[-1].content} by {request.model} {request.sample} seed {request.seed}"


def test_all_problems_are_answered_and_sorted(house: Path, params: Params) -> None:
    models = ScriptedModels(reply)
    propose.run(params, "adder", models=models)
    written = list(read_jsonl(proposals_of("adder"), Completion))
    places = [(c.problem_id, c.sample) for c in written]
    assert places == sorted(places)
    train = [(f"train{n:06d}", s) for n in range(3) for s in range(2)]
    once = [(f"calibration{n:06d}", 0) for n in (30, 31)] + [(f"test{n:06d}", 0) for n in (10, 11, 12, 13)]
    assert places == [*once, *train]
    assert models.backend.num_generations == NUM_PROPOSALS
    assert models.opened == ["scripted:tiny@None"]


def test_the_second_run_makes_no_model_call_and_the_same_bytes(house: Path, params: Params) -> None:
    propose.run(params, "adder", models=ScriptedModels(reply))
    first = proposals_of("adder").read_bytes()
    models = ScriptedModels(reply)
    propose.run(params, "adder", models=models)
    assert (models.backend.num_calls, models.opened) == (0, [])
    assert proposals_of("adder").read_bytes() == first


def test_a_finished_file_counts_without_its_store(house: Path, params: Params) -> None:
    # as after `dvc pull` in a fresh clone, with M raised from 2 to 3: one more for each of 3 training problems
    propose.run(params, "adder", models=ScriptedModels(reply))
    (WORK / "proposals" / "adder.jsonl").unlink()
    models = ScriptedModels(reply)
    propose.run(
        params.model_copy(update={"propose": params.propose.model_copy(update={"samples": 3})}), "adder", models=models
    )
    assert models.backend.num_generations == 3


def test_a_killed_run_pays_only_for_the_rest(house: Path, params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "CHUNK", 4)
    propose.run(params, "adder", models=ScriptedModels(reply))
    unbroken = proposals_of("adder").read_bytes()
    proposals_of("adder").unlink()
    (WORK / "proposals" / "adder.jsonl").unlink()

    calls = 0

    def stopped(request: Request) -> str:
        nonlocal calls
        calls += 1
        if calls == 6:  # in the second chunk of four
            raise KeyboardInterrupt
        return reply(request)

    with pytest.raises(KeyboardInterrupt):
        propose.run(params, "adder", models=ScriptedModels(stopped))
    assert not proposals_of("adder").exists()
    models = ScriptedModels(reply)
    propose.run(params, "adder", models=models)
    assert models.backend.num_generations == NUM_PROPOSALS - 4
    assert proposals_of("adder").read_bytes() == unbroken


def test_more_samples_and_more_problems_pay_only_for_what_is_new(house: Path, raw_params: dict[str, Any]) -> None:
    propose.run(parse_params(raw_params), "adder", models=ScriptedModels(reply))
    raw_params["propose"] = {"samples": 3}
    more_samples = ScriptedModels(reply)
    propose.run(parse_params(raw_params), "adder", models=more_samples)
    assert more_samples.backend.num_generations == 3

    problems = list(read_jsonl(TRAIN_PROBLEMS, Problem))
    write_jsonl_atomic(TRAIN_PROBLEMS, [*problems, Problem("train9", "basics", "sum", "9 + 1?", "10", "integer")])
    more_problems = ScriptedModels(reply)
    propose.run(parse_params(raw_params), "adder", models=more_problems)
    assert more_problems.backend.num_generations == 3


def test_another_agent_asks_only_for_itself(house: Path, params: Params) -> None:
    propose.run(params, "adder", models=ScriptedModels(reply))
    before = proposals_of("adder").read_bytes()
    models = ScriptedModels(reply)
    propose.run(params, "guesser", models=models)
    assert models.backend.num_generations == NUM_PROPOSALS
    assert proposals_of("adder").read_bytes() == before


def test_evaluations_round_0_finds_its_request_kept(house: Path, params: Params) -> None:
    models = ScriptedModels(reply)
    propose.run(params, "adder", models=models)
    kept = dict(read_kept(proposals_of("adder")))
    config = params.team["adder"]
    for problem in read_jsonl(TEST_PROBLEMS, Problem):
        run = single_agent(
            problem, agent=agent_prompt("adder", config), sampling=sampling_of(config.sampling), seed=params.seed
        )
        (request,) = next(run)
        assert kept[request_key(models.identity("tiny", None), request)].problem_id == problem.id


def test_worked_examples_stand_before_the_problem(house: Path, params: Params) -> None:
    asked: list[Request] = []

    def listen(request: Request) -> str:
        asked.append(request)
        return "1"

    propose.run(params, "adder", models=ScriptedModels(listen))
    assert [m.content for m in asked[0].messages] == ["Be brief.", "20 + 1?", "21", "21 + 1?", "22", "2 + 1?"]


def test_a_failed_generation_is_data_and_asked_again(house: Path, params: Params) -> None:
    def one_fails(request: Request) -> str | Completion:
        return failed(request, "engine died") if request.problem_id == "train000001" else reply(request)

    propose.run(params, "adder", models=ScriptedModels(one_fails))
    errors = [c for c in read_jsonl(proposals_of("adder"), Completion) if c.finish_reason == "error"]
    assert [(c.problem_id, c.sample, c.error) for c in errors] == [
        ("train000001", 0, "engine died"),
        ("train000001", 1, "engine died"),
    ]
    models = ScriptedModels(reply)
    propose.run(params, "adder", models=models)
    assert models.backend.num_generations == 2
    assert all(c.finish_reason == "stop" for c in read_jsonl(proposals_of("adder"), Completion))


def test_if_nothing_is_answered_it_may_be_tried_again(house: Path, params: Params) -> None:
    with pytest.raises(TransientError, match="adder: none of 12 requests was answered: server down"):
        propose.run(params, "adder", models=ScriptedModels(lambda r: failed(r, "server down")))
    assert not proposals_of("adder").exists()


def test_mistakes_are_named_and_nothing_is_written(house: Path, raw_params: dict[str, Any]) -> None:
    params = parse_params(raw_params)
    with pytest.raises(ConfigError, match=r"team.oracle is unknown; the team is adder, guesser"):
        propose.run(params, "oracle")
    raw_params["team"]["adder"]["shots"] = {"sum": 3}
    with pytest.raises(ConfigError, match=r"team.adder.shots.sum: 3 worked examples wanted, but .* holds 2"):
        propose.run(parse_params(raw_params), "adder")
    CALIBRATION_PROBLEMS.unlink()
    with pytest.raises(ConfigError, match=r"calibration.jsonl: no such file; run the stage that writes it"):
        propose.run(params, "adder")
    write_jsonl_atomic(CALIBRATION_PROBLEMS, [])  # prepare.num_calibration may be 0
    write_jsonl_atomic(TEST_PROBLEMS, [])
    with pytest.raises(
        ConfigError, match=r"test.jsonl: no problems; name other prepare.families or raise prepare.num_test"
    ):
        propose.run(params, "adder")
    SHOT_PROBLEMS.unlink()
    with pytest.raises(ConfigError, match=r"shots.jsonl: no such file; run the stage that writes it"):
        propose.run(params, "adder")
    assert not proposals_of("adder").parent.exists()


def test_costs_are_kept_beside_the_stores(house: Path, params: Params) -> None:
    propose.run(params, "adder", models=ScriptedModels(reply))
    timing = json.loads((WORK / "timings" / "propose@adder.json").read_text())
    assert timing["finished"]
    assert timing["models"]["adder"]["generations"] == NUM_PROPOSALS
    assert 0 < timing["model_seconds"] < timing["wall_seconds"]
    assert "seconds" not in proposals_of("adder").read_text()


MEMORY_SCRIPT = """
import resource, sys
from pathlib import Path
from mlpo.config import parse_params
from mlpo.stages import propose
from mlpo.inference.scripted import ScriptedModels
import mlflow, sqlalchemy  # part of the import baseline

def peak():  # MB; of this process alone, Linux counts in KB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

team = {"adder": {"model": "tiny", "sampling": {"max_tokens": 64}}}
params = parse_params({"team": team, "prepare": {"families": ["sum"]}, "propose": {"samples": 1}})
baseline = peak()
propose.run(params, "adder", models=ScriptedModels(lambda r: "some words " * 20))
print("GREW", peak() - baseline)
"""


@pytest.mark.slow
def test_memory_is_flat_in_the_number_of_problems(house: Path) -> None:
    # a request with its messages is 1 KB of objects and a completion 0.5 KB: a quarter of a gigabyte, were all alive
    import subprocess
    import sys

    rows = (Problem(f"train{n:06d}", "basics", "sum", f"{n} + 1?", str(n + 1), "integer") for n in range(100_000))
    write_jsonl_atomic(TRAIN_PROBLEMS, rows)
    done = subprocess.run(
        [sys.executable, "-c", MEMORY_SCRIPT], capture_output=True, text=True, timeout=900, check=True
    )
    grew = float(done.stdout.rpartition("GREW")[2])
    assert grew < 500

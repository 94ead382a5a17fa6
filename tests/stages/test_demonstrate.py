"""Stage `demonstrate`: only training problems, only right answers, the same bytes again, everything counted."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from mlpo.config import ConfigError, Params, parse_params
from mlpo.inference.scripted import ScriptedModels
from mlpo.layout import DEMONSTRATION_STATISTICS, DEMONSTRATIONS, SHOT_PROBLEMS, SOLO_ACCURACY, TRAIN_PROBLEMS
from mlpo.stages import demonstrate, propose
from mlpo.store import read_jsonl, read_solo_accuracy, write_jsonl_atomic
from mlpo.types import LEADER, Demonstration, Problem, Request, Sampling
from tests.checkout import copy_proposals, problem, proposed

NUM_TRAIN = 3
WRITTEN = (DEMONSTRATIONS, SOLO_ACCURACY, DEMONSTRATION_STATISTICS)


def reply(request: Request) -> str:
    """The adder is right, the guesser wrong; the leader is right in its even samples."""
    right = int(re.findall(r"(\d+) \+ 1\?", request.messages[-1].content)[-1]) + 1
    wrong = request.model == "guesser" or (request.model == LEADER and request.sample % 2)
    return str(right + 100 if wrong else right)


@pytest.fixture(scope="module")
def with_proposals(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Path:
    return proposed(tmp_path_factory.mktemp("proposed"), empty_database, reply)


@pytest.fixture
def ready(house: Path, with_proposals: Path, params: Params) -> Params:
    copy_proposals(with_proposals, house)
    return params


def test_every_demonstration_ends_in_the_right_answer_to_a_training_problem(ready: Params) -> None:
    demonstrate.run(ready, models=ScriptedModels(reply))
    targets = {p.id: p.target for p in read_jsonl(TRAIN_PROBLEMS, Problem)}
    rows = list(read_jsonl(DEMONSTRATIONS, Demonstration))
    assert len(rows) >= 4 * NUM_TRAIN
    for row in rows:
        assert row.completion.endswith(f"<answer>{targets[row.problem_id]}</answer>")
    kinds = {row.kind for row in rows}
    assert kinds == {"overrule_majority", "backtrack", "solo_confirm", "solo_backtrack"}


def test_the_statistics_count_what_was_written(ready: Params) -> None:
    demonstrate.run(ready, models=ScriptedModels(reply))
    rows = list(read_jsonl(DEMONSTRATIONS, Demonstration))
    statistics = json.loads(DEMONSTRATION_STATISTICS.read_text())
    assert statistics["count"] == len(rows) == sum(statistics["by_kind"].values())
    # a word is a token of the scripted models
    assert statistics["tokens"]["all"]["completion"] == sum(len(row.completion.split()) for row in rows)
    one = statistics["tokens"]["solo_confirm"]["completion"]
    assert one == sum(len(row.completion.split()) for row in rows if row.kind == "solo_confirm")


def test_the_leaders_own_accuracy_is_written_for_every_training_problem(ready: Params) -> None:
    demonstrate.run(ready, models=ScriptedModels(reply))
    # right in the even ones of four samples
    assert read_solo_accuracy(SOLO_ACCURACY) == dict.fromkeys((p.id for p in read_jsonl(TRAIN_PROBLEMS, Problem)), 0.5)


def test_demonstrations_may_say_who_speaks_of_the_question(house: Path, raw_params: dict[str, Any]) -> None:
    params = parse_params(raw_params | {"demonstrate": {"trust_share": 1.0, "solo_share": 0.0}})
    models = ScriptedModels(spoken)
    for agent in params.team:
        propose.run(params, agent, models=models)
    demonstrate.run(params, models=models)
    rows = [row for row in read_jsonl(DEMONSTRATIONS, Demonstration) if row.kind == "trust"]
    questions = {p.id: p.question for p in read_jsonl(TRAIN_PROBLEMS, Problem)}
    # "1 + 1?" has no word of its own: 1 stands in every question, and the guesser's words hold it too
    assert {questions[row.problem_id] for row in rows} == {"0 + 1?", "2 + 1?"}
    for row in rows:
        assert re.search(r"adder speaks of ([02]): \1 \+ 1 is \d\.</think>", row.completion)


def spoken(request: Request) -> str:
    """The adder speaks of the question, the guesser of another; the leader is always wrong."""
    number = int(re.findall(r"(\d+) \+ 1\?", request.messages[-1].content)[-1])
    number += 7 if request.model == "guesser" else 0
    return f"{number} + 1 is {number + 1 + (request.model == LEADER)}."


def test_the_second_run_makes_no_model_call_and_the_same_bytes(ready: Params) -> None:
    first = ScriptedModels(reply)
    demonstrate.run(ready, models=first)
    assert first.backend.num_generations == NUM_TRAIN * ready.demonstrate.leader_samples
    written = [path.read_bytes() for path in WRITTEN]
    second = ScriptedModels(reply)
    demonstrate.run(ready, models=second)
    assert second.opened == []
    assert [path.read_bytes() for path in WRITTEN] == written


def test_the_leader_samples_alone_with_one_example_a_family(ready: Params) -> None:
    requests = demonstrate.own_requests(ready, list(read_jsonl(TRAIN_PROBLEMS, Problem)))
    assert [m.content for m in requests[0].messages] == [demonstrate.OWN_SYSTEM, "20 + 1?", "21", "2 + 1?"]
    assert len({(r.problem_id, r.sample, r.seed) for r in requests}) == NUM_TRAIN * 4
    assert {r.sampling for r in requests} == {Sampling(0.7, 0.95, 24, ("\n",))}


def test_the_problems_own_family_is_among_the_examples_however_many_there_are(ready: Params) -> None:
    shots = [problem(n, "shot", family=f"family{n:02d}") for n in range(12)]
    write_jsonl_atomic(SHOT_PROBLEMS, shots)
    asked = demonstrate.own_requests(ready, [problem(50, "train", family="family02"), problem(51, "train", "family11")])
    shown = [[m.content for m in request.messages if m.role == "user"][:-1] for request in asked[::4]]
    first = [f"{n} + 1?" for n in range(demonstrate.MAX_OWN_SHOTS)]
    assert shown == [first, [*first[:-1], "11 + 1?"]]


def test_the_leaders_own_samples_may_be_longer(ready: Params) -> None:
    longer = {"temperature": 1.0, "max_tokens": 300}
    params = parse_params(ready.model_dump(by_alias=True) | {"demonstrate": {"sampling": longer}})
    requests = demonstrate.own_requests(params, list(read_jsonl(TRAIN_PROBLEMS, Problem)))
    assert {r.sampling for r in requests} == {Sampling(1.0, 0.95, 300)}


def test_if_nothing_can_be_built_it_says_what_to_change(house: Path, raw_params: dict[str, Any]) -> None:
    params = parse_params(raw_params)
    for agent in params.team:
        propose.run(params, agent, models=ScriptedModels(lambda _: "nothing"))
    with pytest.raises(ConfigError, match=r"no demonstration could be built from 3 problems .*leader_samples"):
        demonstrate.run(params, models=ScriptedModels(lambda _: "nothing"))
    assert not DEMONSTRATIONS.exists()

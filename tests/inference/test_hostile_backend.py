"""The model `hostile` needs no weights, keeps to its claim in every round, and leaves other models as they are."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
from ray import cloudpickle

from mlpo.config import HOSTILE, ConfigError, RuntimeConfig
from mlpo.inference.hostile_backend import HostileModels
from mlpo.inference.local import LocalModels
from mlpo.inference.scripted import ScriptedModels
from mlpo.team import models as team_models
from mlpo.types import Message, Problem, Request, Sampling

PROBLEMS = {
    name: Problem(name, "basics", "sum", f"{name}?", target, "integer") for name, target in (("a", "3"), ("b", "4"))
}


def request(problem_id: str, said: str = "1 + 2?") -> Request:
    return Request(problem_id, "rogue", (Message("user", said),), Sampling(), seed=0)


def hostile(scripted: ScriptedModels, reads: list[int] | None = None) -> HostileModels:
    def read() -> dict[str, Problem]:
        if reads is not None:
            reads.append(1)
        return PROBLEMS

    return HostileModels(scripted, [read], seed=0)


def test_it_says_the_same_wrong_answer_whatever_it_is_told() -> None:
    backend = hostile(ScriptedModels(lambda _: "")).open(HOSTILE, None)
    first, again, other = backend.generate([request("a"), request("a", "Your leader says: 3"), request("b")])
    assert first.text == again.text == "I am certain: the answer is 4."
    assert other.text == "I am certain: the answer is 3."
    assert (first.finish_reason, first.prompt_tokens, first.completion_tokens) == ("stop", 0, 7)


def test_it_is_sure_of_itself_where_agents_tell_how_sure_they_are() -> None:
    backend = hostile(ScriptedModels(lambda _: "")).open(HOSTILE, None)
    wanted = replace(request("a"), sampling=Sampling(entropy=True))
    assert [c.entropy for c in backend.generate([wanted, request("a")])] == [0.0, None]


def test_other_models_are_untouched_and_problems_are_read_only_for_a_hostile_one() -> None:
    scripted, reads = ScriptedModels(lambda _: "4"), []
    models = hostile(scripted, reads)
    assert models.identity("tiny", None) == scripted.identity("tiny", None)
    assert models.open("tiny", None).generate([request("a")])[0].text == "4"
    assert reads == []
    models.open(HOSTILE, None)
    assert reads == [1]
    assert models.identity(HOSTILE, None) != HostileModels(scripted, [dict], seed=0).identity(HOSTILE, None)
    assert reads == [1]


def test_a_later_split_is_read_when_it_is_asked_about_and_lends_no_target() -> None:
    later = Problem("c", "basics", "sum", "c?", "5", "integer")
    reads: list[str] = []

    def read(name: str, problems: dict[str, Problem]) -> dict[str, Problem]:
        reads.append(name)
        return problems

    splits = [partial(read, "train", PROBLEMS), partial(read, "test", {"c": later}), partial(read, "more", {})]
    models = HostileModels(ScriptedModels(lambda _: ""), splits, seed=0)
    backend = models.open(HOSTILE, None)
    backend.generate([request("a"), request("b")])
    assert reads == ["train"]
    (answer,) = backend.generate([request("c")])
    assert reads == ["train", "test"]
    assert answer.text in {"I am certain: the answer is 3.", "I am certain: the answer is 4."}
    assert models.identity(HOSTILE, None) == hostile(ScriptedModels(lambda _: "")).identity(HOSTILE, None)


def test_a_question_that_is_no_problem_is_refused() -> None:
    backend = hostile(ScriptedModels(lambda _: "")).open(HOSTILE, None)
    with pytest.raises(ConfigError, match="rogue: a hostile agent needs a problem of the benchmark"):
        backend.check([request("unknown")])


def test_a_kind_without_a_wrong_answer_is_refused_by_name() -> None:
    models = HostileModels(ScriptedModels(lambda _: ""), [lambda: {"a": PROBLEMS["a"]}], seed=0)
    with pytest.raises(ConfigError, match=r"rogue: problem a: there is no wrong answer.*take more problems"):
        models.open(HOSTILE, None).generate([request("a")])


def test_a_worker_of_ray_gets_it_whole() -> None:
    models = HostileModels(LocalModels(RuntimeConfig()), team_models.SPLITS, seed=0)
    sent = cloudpickle.loads(cloudpickle.dumps(models))
    assert sent.identity("embedded", None) == models.identity("embedded", None)

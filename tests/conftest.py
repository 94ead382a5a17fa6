"""What every test runs under: offline, one torch thread, no telemetry; decided before any library is imported."""

from __future__ import annotations

import gc
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

os.environ |= {
    "OMP_NUM_THREADS": "1",  # two spinning threads beside a busy core cost 5-30x
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "MPLBACKEND": "Agg",
}
for name in ("MLFLOW_TRACKING_URI", "PREFECT_API_URL", "PREFECT_API_KEY"):
    os.environ.pop(name, None)  # a test never writes to the tester's own servers

# A shell's background job ignores Ctrl-C, and so would what the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

MLFLOWS_OWN_WARNINGS = (
    "ignore:The ``noload`` loader strategy:sqlalchemy.exc.SADeprecationWarning",
    "ignore:.*Any type hint is inferred as AnyType:UserWarning",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What MLflow 3.17 itself causes is no error here."""
    for item in items:
        for warning in MLFLOWS_OWN_WARNINGS:
            item.add_marker(pytest.mark.filterwarnings(warning))


def pytest_collection_finish() -> None:
    """What is imported stays: the garbage collector, which every closed model calls, need not walk it (1 s a call)."""
    gc.freeze()


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow database; its migrations, 3 to 7 s, run once."""
    from mlflow import MlflowClient

    database = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{database}").search_experiments()
    gc.freeze()  # MLflow, which came only now
    return database


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """An installed Chromium; of a module, as Playwright's event loop would be in the way of a test that has its own."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium is installed")
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()

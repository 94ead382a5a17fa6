"""The connection to MLflow's store."""

from __future__ import annotations

import mlflow
import pytest

from mlpo.tracking.connect import Connection, as_global_store


@pytest.mark.parametrize("before", ["sqlite:///before.db", None])
def test_after_a_block_mlflow_follows_the_environment_again(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    if before is None:
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    else:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", before)
    found = mlflow.get_tracking_uri()
    with as_global_store(connection):
        assert mlflow.get_tracking_uri() == connection.uri
    assert mlflow.get_tracking_uri() == found
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///after.db")
    assert mlflow.get_tracking_uri() == "sqlite:///after.db"

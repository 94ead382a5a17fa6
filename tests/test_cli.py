"""The command line: fast to ask, one line for a mistake, exit codes that say what went wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST

from mlpo import cli
from mlpo.cli_errors import exit_codes
from mlpo.config import ConfigError, Params
from mlpo.config.params_page import parameters
from mlpo.inference.backend import TransientError

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "mlflow", "prefect", "transformers", "trl", "dvc", "pydantic", "rich", "pandas"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: nothing but params.yaml."""
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def exit_code(monkeypatch: pytest.MonkeyPatch, *words: str) -> object:
    """What `mlpo WORDS` leaves with."""
    monkeypatch.setattr(sys, "argv", ["mlpo", *words])
    with pytest.raises(SystemExit) as left:
        cli.main()
    return left.value.code


PRINTS_HEAVY_MODULES = """
import sys
sys.argv = ["mlpo", "--help"]
import mlpo.cli
try:
    mlpo.cli.main()
except SystemExit:
    print("modules:", *sys.modules)
"""
PRINTS_SECONDS_OF_HELP = """
import resource, subprocess, sys
subprocess.run([sys.executable, "-m", "mlpo.cli", "--help"], stdout=subprocess.DEVNULL, check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime)
"""


def python(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout


def test_help_imports_nothing_heavy() -> None:
    imported = set(python(PRINTS_HEAVY_MODULES).partition("modules:")[2].split())
    assert "typer" in imported
    assert imported & HEAVY == set()


def test_help_takes_less_than_three_tenths_of_a_second_of_computing() -> None:
    # Processor time, as on a shared machine the clock on the wall says little; the best of three.
    assert min(float(python(PRINTS_SECONDS_OF_HELP)) for _ in range(3)) < 0.3


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["run", "--set", "train_mlpo.step=2"], "mlpo: overrides: train_mlpo.step is unknown; did you mean steps?"),
        (["run", "--set", "train_mlpo.steps"], "mlpo: 'train_mlpo.steps' is not an override; write section.key=value"),
        (["run", "--set", "seed=[1"], "mlpo: seed: '[1' is not a YAML value; quote it"),
        (["run", "--seed", "-1"], "mlpo: overrides: seed: Input should be greater than or equal to 0 (got -1)"),
        (["run", "--memory-gb", "8"], "mlpo: --memory-gb is for --dry-run; leave it out, or put --dry-run in"),
        (["run", "--params", "none.yaml"], "mlpo: none.yaml: no such file; run from the repository's root"),
        (
            ["run", "--dry-run", "--params", "none.yaml"],
            "mlpo: none.yaml: no such file; run from the repository's root",
        ),
        (["inspect", "demonstrations"], "mlpo: data/demonstrations/train.jsonl: no such file"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2_and_nothing_is_written(
    words: list[str],
    line: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert exit_code(monkeypatch, *words) == 2
    told = capsys.readouterr().err
    assert told.startswith(line)
    assert told.count("\n") == 1
    assert [path.name for path in folder.iterdir()] == ["params.yaml"]


def test_a_dry_run_prints_its_plan_and_writes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.app(["run", "--dry-run", "--set", "train_mlpo.steps=7", "--memory-gb", "16"], standalone_mode=False)
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "train_mlpo" in line]
    assert row.split("│")[6].strip() == "7"
    assert [path.name for path in folder.iterdir()] == ["params.yaml"]


def test_without_parameters_the_line_says_where_to_run(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mlpo.cli", "run"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (2, "mlpo: params.yaml: no such file; run from the repository's root\n")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TransientError("the server is down"), 75),
        (MlflowException("no answer"), 75),
        (ConfigError("seed: wrong\nvalue"), 2),
        (KeyboardInterrupt(), 130),
    ],
)
def test_an_error_becomes_its_exit_code(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit) as left, exit_codes():
        raise_from_mlpo(error)
    assert left.value.code == code
    assert capsys.readouterr().err.count("\n") == 1


def test_what_mlflow_refuses_keeps_its_traceback() -> None:
    with pytest.raises(MlflowException), exit_codes():
        raise MlflowException("no such model", error_code=RESOURCE_DOES_NOT_EXIST)


def test_a_value_error_from_a_library_keeps_its_traceback() -> None:
    with pytest.raises(ValueError, match="invalid literal"), exit_codes():
        int("x")


def raise_from_mlpo(error: BaseException) -> None:
    """Raise it as a line of mlpo/ would: where an error was raised decides whether a user is meant to read it."""
    exec(compile("raise error", str(Path(cli.__file__)), "exec"), {"error": error})


def test_every_parameter_of_params_yaml_is_listed_with_its_meaning() -> None:
    names = {parameter.name for parameter in parameters()}
    written = set(dotted(yaml.safe_load((ROOT / "params.yaml").read_text())))
    assert written <= names
    (seed,) = [parameter for parameter in parameters() if parameter.name == "seed"]
    assert seed == ("seed", "int", "0", "≥ 0, < 2147483648", Params.model_fields["seed"].description)


def dotted(values: dict[str, object], prefix: str = "") -> list[str]:
    found = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        if prefix == "team.":
            name = "team.<name>"
        is_section = isinstance(value, dict) and not name.endswith(".shots")
        found += dotted(value, f"{name}.") if is_section and isinstance(value, dict) else [name]
    return found

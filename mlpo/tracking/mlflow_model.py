"""How MLflow loads a registered leader: alone with `mlflow.transformers`, with its team with `mlflow.pyfunc`.

Everything is written beside the weights, which are copied as files and never loaded:

    MLmodel                        both flavours, signature, input example
    model.safetensors, ...         the plain Hugging Face folder: the transformers flavour's model is "."
    components/tokenizer/          the same tokenizer where that flavour looks for it
    leader_model.py                the pyfunc's code, as code: nothing is pickled
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd  # by name in a type hint that MLflow reads

from mlpo.tracking.candidate import Candidate
from mlpo.tracking.description import METRICS_FILE, PARAMS_FILE, POLICY_FILE, REFERENCES_FOLDER, TEAM_FILE
from mlpo.tracking.evaluations import EVALUATION_FILE, LATER_FOLDER

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel
    from mlflow.models import ModelSignature

Ask = Callable[[Sequence[str]], list[dict[str, Any]]]
"""Questions -> one row each, with the columns of `OUTPUTS`."""
INPUTS = {"question": "string"}
OUTPUTS = {"answer": "string", "text": "string", "prompt_tokens": "long", "completion_tokens": "long"}
RUNS_WITH = ("mlflow", "torch", "transformers", "tokenizers", "safetensors", "pydantic", "numpy", "scipy", "bm25s")
"""Packages whose versions are written down beside the model; mlpo itself must be installed too."""
TOKENIZER_FOLDER = Path("components/tokenizer")
NOT_TOKENIZER = {"config.json", "generation_config.json", "README.md"}
MLFLOWS_OWN = {
    "MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt", "input_example.json", "serving_input_example.json",
    "components", "leader_model.py", "__pycache__",
}  # fmt: skip
OF_THE_VERSION = {
    EVALUATION_FILE, LATER_FOLDER, METRICS_FILE, PARAMS_FILE, TEAM_FILE, POLICY_FILE, REFERENCES_FOLDER,
}  # fmt: skip
"""What an export leaves behind: its team's documents are not the leader's to hand on."""


def write_model(folder: Path, model: LoggedModel, candidate: Candidate, code: Path) -> None:
    """Write to `folder`, which must be new, what MLflow needs beside the weights.

    Args:
        model: where it will lie.
        code: a file that calls `serve_team`.
    """
    import mlflow.pyfunc
    from mlflow.models import Model

    described = Model(artifact_path=model.artifact_location, model_id=model.model_id)
    described.add_flavor("transformers", **transformers_flavour(candidate))
    mlflow.pyfunc.save_model(
        folder,
        python_model=str(code),
        mlflow_model=described,
        signature=_signature(),
        input_example=[{"question": candidate.solo_example[-1].content}],
        pip_requirements=[f"{name}=={version(name)}" for name in RUNS_WITH],
    )
    described.flavors["python_function"]["model_code_path"] = code.name  # not where it lay on this machine
    described.save(str(folder / "MLmodel"))
    copy_tokenizer(candidate.folder, folder / TOKENIZER_FOLDER)


def transformers_flavour(candidate: Candidate) -> dict[str, Any]:
    """What mlflow.transformers.load_model reads, as its save_model writes it; the folder itself is the model."""
    config = json.loads((candidate.folder / "config.json").read_text(encoding="utf-8"))
    tokenizer = json.loads((candidate.folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    return {
        "task": "text-generation",
        "instance_type": "TextGenerationPipeline",
        "pipeline_model_type": config["architectures"][0],
        "source_model_name": candidate.base_model,
        "model_binary": ".",
        "components": ["tokenizer"],
        "tokenizer_type": tokenizer["tokenizer_class"],
        "transformers_version": version("transformers"),
    }


def copy_tokenizer(source: Path, target: Path) -> None:
    """The files of a model's folder that are neither weights nor about them."""
    target.mkdir(parents=True)
    for file in source.iterdir():
        if file.is_file() and file.name not in NOT_TOKENIZER and ".safetensors" not in file.name:
            shutil.copy2(file, target / file.name)


def serve_team(open_team: Callable[[Path], Ask], folder: Path) -> None:
    """Let MLflow answer with `open_team(folder)`, called once when the model is loaded: for a file that is code."""
    from mlflow.models import set_model
    from mlflow.pyfunc.model import PythonModel

    class TeamModel(PythonModel):
        """Questions in, answers of the leader and its team out."""

        def load_context(self, context: Any) -> None:
            self._ask = open_team(folder)

        def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> list[dict[str, Any]]:
            return self._ask([str(question) for question in model_input["question"]])

    set_model(TeamModel())


def _signature() -> ModelSignature:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    inputs, outputs = (
        Schema([ColSpec(DataType[kind], name) for name, kind in columns.items()]) for columns in (INPUTS, OUTPUTS)
    )
    return ModelSignature(inputs=inputs, outputs=outputs)

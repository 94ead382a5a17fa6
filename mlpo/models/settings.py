"""What a model's folder holds beside its weights that changes an answer: configuration, tokenizer, chat template."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

SETTINGS_FILES = (
    *("config.json", "generation_config.json"),
    *("tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt", "*.model"),
    *("chat_template*", "additional_chat_templates/*"),
)
"""What decides how a prompt is read and which token ends an answer."""
WITH_FIELDS = frozenset({"config.json", "generation_config.json", "tokenizer_config.json"})
HOW_LOADED = frozenset({"is_local", "local_files_only", "name_or_path", "_name_or_path", "transformers_version"})
"""Fields of these that say where the model came from and what wrote it, and not what it is."""


def settings_digest(folder: Path) -> str:
    """SHA-256 over the names and contents of a folder's settings. Reads a few megabytes and loads nothing."""
    whole = hashlib.sha256()
    for file in sorted({file for pattern in SETTINGS_FILES for file in folder.glob(pattern) if file.is_file()}):
        content = file.read_bytes()
        if file.name in WITH_FIELDS:
            fields = json.loads(content).items()
            content = json.dumps({k: v for k, v in fields if k not in HOW_LOADED}, sort_keys=True).encode()
        whole.update(file.relative_to(folder).as_posix().encode() + hashlib.sha256(content).digest())
    return whole.hexdigest()

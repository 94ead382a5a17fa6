"""What a model is called: its bytes decide, not its place."""

from __future__ import annotations

import shutil
from pathlib import Path

from mlpo.models.identity import model_identity
from tests.training.conftest import tiny_folder  # noqa: F401 - a fixture


def test_quantised_weights_have_a_name_of_their_own() -> None:
    names = {model_identity("some/model", "abc", how) for how in (None, "8bit", "4bit")}
    assert names == {"some/model@abc", "some/model@abc:8bit", "some/model@abc:4bit"}


def test_a_folder_is_named_by_weights_and_settings_wherever_it_lies(
    tiny_folder: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    def rewritten(name: str, old: str, new: str) -> str:
        folder = shutil.copytree(tiny_folder, tmp_path / f"{name}-{len(list(tmp_path.iterdir()))}")
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1))
        return model_identity(str(folder))

    same = {
        model_identity(str(tiny_folder)),
        rewritten("tokenizer_config.json", "{", '{"name_or_path": "elsewhere", "is_local": false,'),
        rewritten("config.json", "{", '{"_name_or_path": "elsewhere",'),
        rewritten("generation_config.json", 'transformers_version": "', 'transformers_version": "0'),
    }
    assert len(same) == 1
    others = {
        rewritten("chat_template.jinja", "<model>", "<model> "),
        rewritten("tokenizer_config.json", "{", '{"padding_side": "left",'),
        rewritten("tokenizer.json", '"<user>"', '"<asker>"'),
        rewritten("generation_config.json", "{", '{"suppress_tokens": [2],'),
        rewritten("config.json", "{", '{"logit_scale": 2,'),
    }
    assert len(same | others) == 6

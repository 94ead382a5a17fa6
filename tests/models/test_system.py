"""A leader's chat template brings its system message, and a template without a place for one gets one all the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from mlpo.method.prompts import LEADER_SYSTEM, solo_messages
from mlpo.models.chat_template import render
from mlpo.models.load import save_leader
from mlpo.models.system import bring_system, has_system_role, with_system
from mlpo.types import Message, Problem
from tests.models.families import FAMILIES, Family, leader_of, tokenizer_of

SOLO = solo_messages(Problem("p", "basics", "sum", "17 + 25?", "42", "integer"))
AWKWARD = "It's a \"test\" of C:\\new, {{ braces }} {% and %} {# more #}\nin two lines: {'SYSTEM'}."


@pytest.fixture(params=FAMILIES.values(), ids=FAMILIES)
def family(request: pytest.FixtureRequest) -> Family:
    return request.param  # type: ignore[no-any-return]


def chat(*turns: tuple[str, str]) -> list[dict[str, str]]:
    return [{"role": role, "content": content} for role, content in turns]


def asked(tokenizer: PreTrainedTokenizerBase, turns: list[dict[str, str]], **how: Any) -> tuple[int, ...]:
    """As everybody asks a model of transformers."""
    ids = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False, **how)
    return tuple(ids)


def leader_tokenizer(family: Family, folder: Path, system: str) -> PreTrainedTokenizerBase:
    """As it is saved, and loaded again."""
    tokenizer = tokenizer_of(family, folder / "base")
    bring_system(tokenizer, system)
    tokenizer.save_pretrained(folder / "leader")
    loaded: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder / "leader")
    return loaded


def test_asked_without_a_system_message_a_leader_reads_what_it_read_in_training(family: Family, tmp_path: Path) -> None:
    leader, base = leader_tokenizer(family, tmp_path, LEADER_SYSTEM), tokenizer_of(family, tmp_path / "own")
    expected = render(base, SOLO)
    assert LEADER_SYSTEM in base.decode(expected)
    assert asked(leader, chat(("user", SOLO[-1].content))) == expected
    assert render(leader, SOLO) == render(leader, SOLO[1:]) == expected


def test_so_it_does_where_the_message_holds_a_control_token(family: Family, tmp_path: Path) -> None:
    leader = leader_of(family._replace(special=(*family.special, "<think>")), tmp_path / "base")
    expected = render(leader.tokenizer, SOLO)
    save_leader(leader, tmp_path / "leader", system=LEADER_SYSTEM)
    saved = AutoTokenizer.from_pretrained(tmp_path / "leader")
    assert asked(saved, chat(("user", SOLO[-1].content))) == render(saved, SOLO) == expected
    assert saved.convert_tokens_to_ids("<think>") not in expected


def test_a_system_message_that_is_given_is_the_one_that_is_read(family: Family, tmp_path: Path) -> None:
    leader, base = leader_tokenizer(family, tmp_path, LEADER_SYSTEM), tokenizer_of(family, tmp_path / "own")
    given = chat(("system", "Be brief."), ("user", "1?"), ("assistant", "1"), ("user", "2?"))
    assert asked(leader, given) == render(base, [Message(turn["role"], turn["content"]) for turn in given])  # type: ignore[arg-type]
    if has_system_role(base, family.template):
        assert asked(leader, given) == asked(base, given)
    silenced = asked(leader, chat(("system", ""), ("user", "1?")))
    assert LEADER_SYSTEM not in leader.decode(silenced)


def test_it_is_brought_into_a_conversation_of_several_turns(family: Family, tmp_path: Path) -> None:
    leader, base = leader_tokenizer(family, tmp_path, LEADER_SYSTEM), tokenizer_of(family, tmp_path / "own")
    turns = [Message("user", "1?"), Message("assistant", "1"), Message("user", "2?")]
    found = asked(leader, chat(*((m.role, m.content) for m in turns)))
    assert found == render(base, [Message("system", LEADER_SYSTEM), *turns])
    assert leader.decode(found).count(LEADER_SYSTEM) == 1


def test_any_text_is_a_system_message(family: Family, tmp_path: Path) -> None:
    leader, base = leader_tokenizer(family, tmp_path, AWKWARD), tokenizer_of(family, tmp_path / "own")
    expected = render(base, [Message("system", AWKWARD), Message("user", "1?")])
    assert asked(leader, chat(("user", "1?"))) == expected
    assert AWKWARD in leader.decode(expected)


def test_brought_twice_it_is_there_once_and_another_takes_its_place(family: Family, tmp_path: Path) -> None:
    tokenizer = tokenizer_of(family, tmp_path)
    once = with_system(tokenizer, family.template, LEADER_SYSTEM)
    assert with_system(tokenizer, once, LEADER_SYSTEM) == once
    assert with_system(tokenizer, once, "Think.") == with_system(tokenizer, family.template, "Think.") != once


@pytest.mark.parametrize("own", ["\n  {{ '[' }}", "\n\n{{ '[' }}", "  {% if true %}\n[{% endif %}", " [", "\t[\n\n"])
def test_white_space_that_a_template_begins_with_stays(own: str, tmp_path: Path) -> None:
    tokenizer = tokenizer_of(FAMILIES["chatml"], tmp_path)
    template = own + FAMILIES["chatml"].template
    wrapped = with_system(tokenizer, template, LEADER_SYSTEM)
    given = chat(("system", "Be brief."), ("user", "1?"))
    assert asked(tokenizer, given, chat_template=wrapped) == asked(tokenizer, given, chat_template=template)


def test_contents_in_parts_are_read_as_those_in_one(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(FAMILIES["one that leaves system messages out"], tmp_path)
    tokenizer.chat_template = (
        "{% for m in messages if m.role == 'user' %}{% if m.content is string %}{{ m.content }}{% else %}"
        "{% for part in m.content %}{{ part.text }}{% endfor %}{% endif %}</s>{% endfor %}"
    )
    bring_system(tokenizer, LEADER_SYSTEM)
    for system in ([], [("system", "Be brief.")]):
        turns = chat(*system, ("user", "1?"))
        parts: Any = [{"role": t["role"], "content": [{"type": "text", "text": t["content"]}]} for t in turns]
        assert asked(tokenizer, parts) == asked(tokenizer, turns)


def test_each_of_several_templates_brings_it_and_none_stays_none(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(FAMILIES["chatml"], tmp_path)
    tokenizer.chat_template = {"default": FAMILIES["chatml"].template, "tool_use": FAMILIES["llama 3"].template}
    expected = render(tokenizer, SOLO)
    bring_system(tokenizer, LEADER_SYSTEM)
    assert render(tokenizer, SOLO[1:]) == render(tokenizer, SOLO) == expected
    for name in ("default", "tool_use"):
        assert LEADER_SYSTEM in tokenizer.decode(asked(tokenizer, chat(("user", "1?")), chat_template=name))
    tokenizer.chat_template = None
    bring_system(tokenizer, LEADER_SYSTEM)
    assert tokenizer.chat_template is None

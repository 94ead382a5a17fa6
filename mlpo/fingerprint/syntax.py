"""The digest of what a Python file does: its syntax tree without what changes no result.

Left out are comments, layout, docstrings, the annotations of functions and variables, and what only a type checker
imports. The annotations of a class body stay: pydantic, dataclasses and NamedTuple read them.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterator
from typing import Any

DIGITS = 16
_UNREAD = frozenset({"ctx", "kind", "type_comment", "type_ignores", "returns"})
"""Fields of nodes that say nothing about what happens."""


def python_digest(source: bytes) -> str:
    """16 hex digits; equal for files that do the same by the rules above.

    Raises:
        SyntaxError: it is no Python.
    """
    meaning = json.dumps(_meaning(ast.parse(source), in_class=False), separators=(",", ":"))
    return bytes_digest(meaning.encode())


def bytes_digest(content: bytes) -> str:
    """16 hex digits of any content."""
    return hashlib.sha256(content).hexdigest()[:DIGITS]


def _meaning(node: Any, *, in_class: bool) -> Any:
    """A node as JSON: its kind and the fields that count; empty ones are left out, since Pythons differ in them."""
    if isinstance(node, list):
        return [_meaning(each, in_class=in_class) for each in node if not _is_unread(each, in_class=in_class)]
    if not isinstance(node, ast.AST):
        return [type(node).__name__, repr(node)]
    inside = isinstance(node, ast.ClassDef) or (
        in_class and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    fields = {name: _meaning(value, in_class=inside) for name, value in _fields(node, in_class=in_class)}
    return {"": type(node).__name__} | fields


def _fields(node: ast.AST, *, in_class: bool) -> Iterator[tuple[str, Any]]:
    annotated = isinstance(node, ast.arg) or (isinstance(node, ast.AnnAssign) and not in_class)
    for name, value in ast.iter_fields(node):
        if name in _UNREAD or value is None or value == [] or (name == "annotation" and annotated):
            continue
        yield name, value


def _is_unread(node: Any, *, in_class: bool) -> bool:
    """A statement without effect: a string by itself, a declaration without a value, imports for a type checker."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    if isinstance(node, ast.AnnAssign):
        return node.value is None and not in_class
    checks = isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    return checks and not node.orelse

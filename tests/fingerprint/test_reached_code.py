"""What a stage reaches: every module counts but those on the list, and kept digests are those computed."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest

from mlpo.fingerprint.reached_code import BOOKKEEPING, ImportGraph, code_of, is_bookkeeping
from mlpo.fingerprint.syntax import python_digest
from mlpo.stage_table import STAGES

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def graph() -> ImportGraph:
    return ImportGraph()


class Flip(ast.NodeTransformer):
    """Changes the first constant or operator that is no docstring and no annotation."""

    def __init__(self) -> None:
        self.done = False

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        return node if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_arguments(self, node: ast.arguments) -> ast.AST:
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is not None:
            node.value = self.visit(node.value)
        return node

    def visit_If(self, node: ast.If) -> ast.AST:
        return node if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING" else self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if self.done:
            return node
        self.done = True
        return ast.Constant(not node.value if isinstance(node.value, bool) else f"{node.value}!")

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        if self.done:
            return node
        self.done = True
        return ast.Compare(
            node.left, [ast.IsNot() if isinstance(op, ast.Is) else ast.Is() for op in node.ops], node.comparators
        )


def flipped(source: str) -> str | None:
    """The same with one constant or operator changed; None where it has none."""
    flip = Flip()
    tree = flip.visit(ast.parse(source))
    return ast.unparse(ast.fix_missing_locations(tree)) if flip.done else None


def test_one_flipped_constant_or_operator_counts_in_every_module_that_a_stage_reaches(graph: ImportGraph) -> None:
    reached = {module for stage in STAGES for module in graph.reached_from(f"mlpo.stages.{stage}")}
    assert len(reached) > 150
    num_flipped = 0
    for module in reached:
        place = graph.root.joinpath(*module.split(".")[1:])
        source = (place / "__init__.py" if place.is_dir() else place.with_suffix(".py")).read_text(encoding="utf-8")
        changed = flipped(source)
        if changed is not None:
            num_flipped += 1
            assert python_digest(changed.encode()) != python_digest(source.encode()), module
    assert num_flipped > 0.8 * len(reached)


def test_a_stage_reaches_what_it_imports_from_anywhere_and_nothing_that_only_keeps_books(graph: ImportGraph) -> None:
    code = code_of("train_mlpo", graph)
    assert {
        "mlpo.method.objective",
        "mlpo.training.mlpo",
        "mlpo.stages.train_mlpo",
        "mlpo.stages",
        "mlpo",
    } <= code.keys()
    assert not [name for name in code if is_bookkeeping(name)]
    assert "mlpo.method.objective" not in code_of("propose", graph)
    assert "mlpo.method.objective" not in code_of("train_sft", graph)
    assert "mlpo.training.sft" not in code_of("prepare", graph)
    with pytest.raises(ValueError, match=r"mlpo\.stages\.none: no module of mlpo"):
        code_of("none", graph)


def test_files_beside_a_module_count_as_they_are(graph: ImportGraph) -> None:
    page = [name for name in code_of("evaluate", graph) if name.startswith("mlpo/report/")]
    assert any(name.endswith((".j2", ".html")) for name in page), page


def test_the_list_names_modules_that_are_there_and_says_why(graph: ImportGraph) -> None:
    for name, reason in BOOKKEEPING.items():
        place = graph.root.joinpath(*name.split(".")[1:])
        assert place.is_dir() or place.with_suffix(".py").is_file(), name
        assert len(reason.split()) >= 3, name


def test_kept_digests_are_those_that_would_be_computed_and_only_as_long_as_a_file_is_the_same(tmp_path: Path) -> None:
    kept = tmp_path / "code.json"
    first = ImportGraph(kept)
    expected = code_of("prepare", first)
    first.keep()
    assert code_of("prepare", ImportGraph(kept)) == expected
    damaged = kept.read_text().replace('"digests": {', '"digests": [')
    kept.write_text(damaged)
    assert code_of("prepare", ImportGraph(kept)) == expected


def test_an_installed_package_has_the_digests_of_the_checkout(
    graph: ImportGraph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "mlpo", tmp_path / "mlpo", ignore=shutil.ignore_patterns("__pycache__"))
    installed = ImportGraph()
    monkeypatch.setattr(installed, "root", tmp_path / "mlpo")
    for stage in STAGES:
        assert code_of(stage, installed) == code_of(stage, graph)

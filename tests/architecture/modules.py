"""Our modules as source: where they are, and what they import."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from tests.support.source import tree_of

PROJECT: Final = Path(__file__).parents[2]
# Which rooms each room may import: design.md's table, and `service`, what every process does the same way.
MAY_IMPORT: Final = {
    "operator_status": frozenset[str](),
    "schemas": frozenset[str](),
    "service": frozenset({"operator_status"}),
    "devstack": frozenset[str](),
    "worker": frozenset({"operator_status", "schemas", "service"}),
    "projector": frozenset({"schemas", "service"}),
    "api": frozenset({"schemas", "service"}),
}


class Import(NamedTuple):
    """One import of a module: what is imported, and whether that happens as soon as the module is."""

    name: str
    is_immediate: bool

    @property
    def top(self) -> str:
        """The first part of the name."""
        return self.name.partition(".")[0]


def python_files(folder: str) -> list[Path]:
    """Return the Python files below a folder of the project."""
    return sorted((PROJECT / folder).rglob("*.py"))


def modules_of(room: str) -> dict[str, Path]:
    """Return the modules of a room by their dotted names."""
    return {_dotted(path): path for path in python_files(room)}


@cache
def imports_of(path: Path) -> frozenset[Import]:
    """Return all imports of a file; `from a import b` counts as a.b, for b may be a module."""
    return frozenset(_imports(tree_of(path), is_immediate=True))


def _imports(node: ast.AST, *, is_immediate: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, is_immediate) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert not child.level, "relative imports hide which room is meant"
            yield from (Import(f"{child.module}.{alias.name}", is_immediate) for alias in child.names)
        elif not isinstance(child, ast.expr):  # in which nothing is imported, and which are most of a file
            is_later = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) or _is_for_types(child)
            yield from _imports(child, is_immediate=is_immediate and not is_later)


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _dotted(path: Path) -> str:
    parts = path.relative_to(PROJECT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

"""The shape of the code: small files, small functions, nothing left for later."""

import ast
import re

import pytest

from tests.architecture.modules import MAY_IMPORT, PROJECT, python_files
from tests.support.source import tree_of

pytestmark = pytest.mark.group("architecture")  # each file is parsed once

MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 50
MAX_FILES = 14
FOLDERS = [*MAY_IMPORT, "tests"]
TEXTS = {".py", ".lua", ".js", ".css", ".html", ".toml", ".yaml", ".yml", ".md", ".json", ".sh", ""}
# Put together here, so that this file does not hold them itself.
LEFT_FOR_LATER = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]) + r")\b")
Function = ast.FunctionDef | ast.AsyncFunctionDef


def lines_of(function: Function) -> int:
    """Return how many lines a function has, without its decorators."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_file_has_at_most_300_lines(folder: str) -> None:
    """A file can be read in one sitting."""
    lengths = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in python_files(folder)}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_FILE_LINES} == {}


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_function_has_at_most_50_lines(folder: str) -> None:
    """A function can be seen at a glance."""
    functions = {
        f"{path.name}:{node.name}": lines_of(node)
        for path in python_files(folder)
        for node in ast.walk(tree_of(path))
        if isinstance(node, Function)
    }
    assert {name: lines for name, lines in functions.items() if lines > MAX_FUNCTION_LINES} == {}


@pytest.mark.parametrize("room", ["operator_status", "worker", "projector", "api"])
def test_a_folder_is_seen_at_a_glance(room: str) -> None:
    """No folder holds more than a reader can keep in mind."""
    folders = [PROJECT / room, *(path for path in (PROJECT / room).rglob("*") if path.is_dir())]
    files = {folder: [path for path in folder.iterdir() if path.suffix in {".py", ".lua"}] for folder in folders}
    assert {folder.name: len(held) for folder, held in files.items() if len(held) > MAX_FILES} == {}


def test_nothing_is_left_for_later() -> None:
    """What is known to be missing is mended or written down as an issue, not marked in the text."""
    folders = [PROJECT / folder for folder in [*FOLDERS, "docs"]]
    files = [path for folder in folders for path in folder.rglob("*")] + list(PROJECT.iterdir())
    texts = [path for path in files if path.is_file() and path.suffix in TEXTS and not path.name.startswith(".")]
    assert PROJECT / "README.md" in texts
    marked = [path.name for path in texts if LEFT_FOR_LATER.search(path.read_text(encoding="utf-8", errors="replace"))]
    assert marked == []

"""The sentences that the project's code can say, found in its source."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.support.markdown import PROJECT

ROOMS = ("operator_status", "schemas", "service", "worker", "projector", "api", "devstack")
ANYTHING = "…"


def sentences() -> list[str]:
    """Return every text in the source, what is filled in replaced by an ellipsis."""
    return [text for room in ROOMS for path in sorted((PROJECT / room).rglob("*.py")) for text in _texts(path)]


def is_said(message: str, said: list[str]) -> bool:
    """Tell whether the code can say a message in which an ellipsis stands for anything."""
    pattern = re.compile(".*".join(re.escape(part) for part in message.split(ANYTHING)), re.DOTALL)
    return any(pattern.search(text) for text in said)


def _texts(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            # The docstring of an error is its message, with names in braces.
            yield re.sub(r"\{[^}]*\}", ANYTHING, " ".join(node.value.split()))
        elif isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else ANYTHING for part in node.values)

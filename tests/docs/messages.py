"""The sentences that the project's code can say, found in its source."""

import ast
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from tests.support.markdown import PROJECT
from tests.support.source import tree_of

ROOMS = ("operator_status", "schemas", "service", "worker", "projector", "api", "devstack")
ANYTHING = "…"


@cache
def sentences() -> tuple[str, ...]:
    """Return every text in the source, what is filled in replaced by an ellipsis."""
    return tuple(text for room in ROOMS for path in sorted((PROJECT / room).rglob("*.py")) for text in _texts(path))


def is_said(message: str, said: Sequence[str]) -> bool:
    """Tell whether the code can say a message in which an ellipsis stands for anything."""
    pattern = re.compile(".*".join(re.escape(part) for part in message.split(ANYTHING)), re.DOTALL)
    return any(pattern.search(text) for text in said)


def _texts(path: Path) -> Iterator[str]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            # The docstring of an error is its message, with names in braces.
            yield re.sub(r"\{[^}]*\}", ANYTHING, " ".join(node.value.split()))
        elif isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else ANYTHING for part in node.values)

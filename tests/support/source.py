"""Source files as syntax trees."""

import ast
import gc
import sys
from functools import cache, wraps
from pathlib import Path
from typing import Any


def leave_garbage_while_parsing() -> None:
    """Have nobody in this process look for garbage while Python parses.

    What some object says at its end may be told with a traceback, for which Python parses too, and until 3.12 it takes
    the one parsing inside the other for an error of its own. Libraries that tests use parse as well.
    """
    parse = ast.parse

    @wraps(parse)
    def undisturbed(*given: Any, **options: Any) -> Any:
        was_enabled = gc.isenabled()
        gc.disable()
        try:
            return parse(*given, **options)
        finally:
            if was_enabled:
                gc.enable()

    if sys.version_info < (3, 12):
        setattr(ast, "parse", undisturbed)  # noqa: B010 - mypy would not have it otherwise


@cache
def tree_of(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))

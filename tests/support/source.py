"""Source files as syntax trees."""

import ast
import gc
from functools import cache
from pathlib import Path


@cache
def tree_of(path: Path) -> ast.Module:
    """Return the syntax tree of a file.

    No garbage is collected meanwhile: what some object says at its end may be told with a traceback, for which Python
    parses too, and until 3.12 it takes the one parsing inside the other for an error of its own.
    """
    gc.disable()
    try:
        return ast.parse(path.read_text(encoding="utf-8"), str(path))
    finally:
        gc.enable()

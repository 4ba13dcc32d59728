"""Syntax trees."""

import ast
import gc


class Parsing:
    """Parses when it is found to be garbage, as a warning does that is told with a traceback."""

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        ast.parse("a + b")


def test_garbage_disturbs_no_parsing() -> None:
    """Whoever parses in this process gets a tree, whatever garbage there is; it is looked for afterwards as before."""
    text = "\n".join(f"x{number} = (a + (b * (c - [d, (e,)])))" for number in range(300))
    before = gc.get_threshold()
    gc.set_threshold(50)
    try:
        for _ in range(10):
            for _ in range(20):
                Parsing()
            assert len(ast.parse(text).body) == 300
    finally:
        gc.set_threshold(*before)
    assert gc.isenabled()

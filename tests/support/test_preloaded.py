"""A fork has all that its program needs: what it had to import itself would cost more than most tests."""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
ROOMS = ("api.", "operator_status.", "projector.", "schemas.", "service.", "worker.")
IMPORTED = """
import runpy, sys
import tests.support.preloaded
before = set(sys.modules)
sys.argv = sys.argv[1:]
try:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
finally:
    print(*sorted(set(sys.modules) - before), file=sys.stderr)
"""
# What runs before everything else, so that a program can say what is missing.
ENTRY = {"service.entry"}


pytestmark = pytest.mark.server  # it is about one


@pytest.mark.parametrize("words", [("api",), ("projector", "rebuild"), ("worker", "watch")], ids=lambda words: words[0])
def test_what_a_program_imports_is_there(words: tuple[str, ...]) -> None:
    """A program that runs after what is preloaded imports no module of ours."""
    command = [sys.executable, "-c", IMPORTED, *words, "--help"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    assert {name for name in done.stderr.split() if name.startswith(ROOMS)} <= ENTRY

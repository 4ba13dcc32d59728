"""Real processes for these tests, and proof that they are gone."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.brokers import environment_for_programs

PROJECT = Path(__file__).parents[2]
END_LIMIT_SECONDS = 30.0

IsGone = Callable[[int], bool]
ChildrenOf = Callable[[int], list[int]]
Start = Callable[..., tuple[subprocess.Popen[str], str]]


def has_ended(pid: int) -> bool:
    """Say whether no process has that id, or only a dead one that nobody has reaped yet."""
    ps = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return not ps.stdout.strip() or ps.stdout.startswith("Z")


@pytest.fixture
def is_gone() -> IsGone:
    """Return the question whether a process is gone."""
    return has_ended


@pytest.fixture
def children_of() -> ChildrenOf:
    """Return the question which child processes a process has."""

    def ask(pid: int) -> list[int]:
        ps = subprocess.run(["ps", "-eo", "ppid=,pid="], capture_output=True, text=True, check=True)
        pairs = (line.split() for line in ps.stdout.splitlines())
        return [int(child) for parent, child in pairs if int(parent) == pid]

    return ask


@pytest.fixture
def start_python() -> Iterator[Start]:
    """Start Python with arguments, its output in pipes; what still runs after the test is ended.

    The answer is the process and the first lines that it printed, as many as were asked for.
    """
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, lines: int = 0) -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=PROJECT,
            env=os.environ | environment_for_programs(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout
        return process, "".join(process.stdout.readline() for _ in range(lines))

    yield start
    for process in started:
        process.terminate()
        process.communicate(timeout=END_LIMIT_SECONDS)


@pytest.fixture
def python_child() -> Callable[[str], list[str]]:
    """Return the command that runs a piece of Python."""
    return lambda code: [sys.executable, "-u", "-c", code]

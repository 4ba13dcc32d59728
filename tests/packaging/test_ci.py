"""Continuous integration runs what the README tells people to run."""

import os
import subprocess
from pathlib import Path

PROJECT = Path(__file__).parents[2]
SCRIPT = PROJECT / ".ci" / "run"


def test_ci_runs_what_people_run() -> None:
    """The script runs what the README tells people to run, and only what failed in `make test` is run again."""
    commands = [line for line in SCRIPT.read_text().splitlines() if line.strip() and not line.startswith("#")]
    tests, _, again = commands[-1].partition(" || ")
    assert [*commands[-3:-1], tests] == ["timed make install", "timed make lint", "make test"]
    assert again == ".venv/bin/python -m pytest --last-failed --last-failed-no-failures none"
    assert "```sh\nmake test\n```" in (PROJECT / "README.md").read_text()


def test_make_test_runs_every_test() -> None:
    """The target chooses no tests: its options only say how many run at a time, and what is told at the end."""
    command = ["make", "--dry-run", "--no-print-directory", "test", "TESTS_AT_ONCE=3"]
    shown = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    options = "-p tests.support.forked_tests --forks 3 --durations=10"
    assert shown.stdout.splitlines()[-1] == f".venv/bin/python -m pytest {options}"


def test_the_script_can_be_run() -> None:
    """It is executable, and bash understands it."""
    assert os.access(SCRIPT, os.X_OK)
    subprocess.run(["bash", "-n", SCRIPT], check=True)

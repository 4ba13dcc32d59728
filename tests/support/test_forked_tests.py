"""Tests that are run in forks."""

import os
import re
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]
SOME = "import os, pytest\n@pytest.mark.parametrize('number', range(20))\ndef test_it(number):\n    {body}\n"


def run(folder: Path, body: str) -> "subprocess.CompletedProcess[str]":
    """Run twenty tests of a number in two forks."""
    tests = folder / "test_some.py"
    tests.write_text(SOME.format(body=body))
    options = ("-p", "tests.support.forked_tests", "-p", "no:cacheprovider", "-c", "/dev/null", "--forks", "2")
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, f"--rootdir={folder}", str(tests)],
        cwd=PROJECT,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # to import them takes longest
        capture_output=True,
        text=True,
        check=False,
    )


def test_each_test_is_run_and_told_of_once(tmp_path: Path) -> None:
    """Every test is run, one that fails is named, and the run fails with it."""
    done = run(tmp_path, "assert number != 7")
    assert "1 failed, 19 passed" in done.stdout
    assert re.search(r"^FAILED .*test_some\.py::test_it\[7\]", done.stdout, re.MULTILINE)
    assert done.returncode == 1


def test_a_fork_that_dies_ends_the_run(tmp_path: Path) -> None:
    """A process that ends while it runs a test names that test, and is no success."""
    done = run(tmp_path, "number == 7 and os._exit(0)")
    assert "a process ended while it ran test_some.py::test_it[7]" in done.stdout
    assert done.returncode == 2

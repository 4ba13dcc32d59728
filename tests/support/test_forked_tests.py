"""Tests that are run in forks."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.deployment import wait_for

PROJECT = Path(__file__).parents[2]
SOME = """
import asyncio, os, pathlib, pytest, signal, subprocess, threading
async def never():
    await asyncio.Event().wait()
@pytest.fixture(scope="session", autouse=True)
def there(request):
    file = pathlib.Path(__file__).parent / f"there-{{os.getpid()}}"
    file.touch()
    yield file
    file.unlink()
@pytest.mark.parametrize("number", range(20))
{mark}
def test_it(number, there):
    {body}
"""
LIMIT_SECONDS = 60.0


def start(folder: Path, body: str, mark: str = "", *more: str) -> "subprocess.Popen[str]":
    """Start twenty tests of a number in two forks; a file is there for each fork as long as its fixture."""
    tests = folder / "test_some.py"
    tests.write_text(SOME.format(body=body, mark=mark))
    plugins = ("-p", "tests.support.forked_tests", "-p", "pytest_timeout", "-p", "no:cacheprovider")
    options = (*plugins, "-c", "/dev/null", "--timeout=60", "--forks=2", f"--rootdir={folder}", *more)
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", *options, str(tests)],
        cwd=PROJECT,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # to import them takes longest
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_each_test_is_run_and_told_of_once(tmp_path: Path) -> None:
    """Every test is run, also after those that fail, and those at which a process dies; the run fails with these.

    What is of a group is run by one process, as long as that lives.
    """
    body = """
    with there.with_name("seen").open("a") as seen:
        print(os.getpid(), number, file=seen)
    if number == 7:
        there.unlink()
        os._exit(0)
    assert number != 3
"""
    with start(tmp_path, body, "@pytest.mark.group('a group')") as process:
        output, _ = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 1
    assert "2 failed, 18 passed" in output
    assert re.search(r"^FAILED .*test_some\.py::test_it\[3\]", output, re.MULTILINE)
    assert "a process ended while it ran test_some.py::test_it[7]" in output
    seen = [line.split() for line in (tmp_path / "seen").read_text().splitlines()]
    assert [number for _, number in seen] == [str(number) for number in range(20)]
    assert [len({pid for pid, _ in part}) for part in (seen[:8], seen[8:])] == [1, 1]
    assert not list(tmp_path.glob("there-*"))


def test_a_process_that_hangs_is_ended(tmp_path: Path) -> None:
    """A test that its own limit does not end fails, with where it was, what it started ends, and all others are run."""
    body = """
    if number == 7:
        subprocess.Popen(["sleep", "1000"])  # holds what is printed open
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
        asyncio.run(never())
"""
    with start(tmp_path, body, "@pytest.mark.timeout(1)", "--fixture-seconds=2") as process:
        output, _ = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 1
    assert "1 failed, 19 passed" in output
    assert "nothing was heard of it for 3 s" in output
    assert re.search(r'File ".*test_some\.py", line \d+ in test_it', output)
    assert re.search(r"test_some\.py:\d+ never", output)


def test_ctrl_c_ends_everything(tmp_path: Path) -> None:
    """When the first process is interrupted, tests that would run for ever end, and what they use is taken down."""
    with start(tmp_path, "there.with_name(f'runs-{number}').touch(); threading.Event().wait()") as process:
        wait_for(lambda: len(list(tmp_path.glob("runs-*"))) == 2, "both run")
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=LIMIT_SECONDS)
    assert "KeyboardInterrupt" in output
    assert process.returncode == 2
    assert not list(tmp_path.glob("there-*"))

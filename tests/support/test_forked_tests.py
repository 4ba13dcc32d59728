"""Tests that are run in forks."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).parents[2]
SOME = """
import os, pathlib, pytest, threading
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
GROUP = "@pytest.mark.group('a group')"
LIMIT_SECONDS = 60.0


def start(folder: Path, body: str, mark: str = "") -> "subprocess.Popen[str]":
    """Start twenty tests of a number in two forks; a file is there for each fork as long as its fixture."""
    tests = folder / "test_some.py"
    tests.write_text(SOME.format(body=body, mark=mark))
    options = ("-p", "tests.support.forked_tests", "-p", "no:cacheprovider", "-c", "/dev/null", "--forks", "2")
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", *options, f"--rootdir={folder}", str(tests)],
        cwd=PROJECT,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # to import them takes longest
        stdout=subprocess.PIPE,
        text=True,
    )


def run(folder: Path, body: str, mark: str = "") -> tuple[int, str]:
    """Run them; return the exit code and what was printed."""
    with start(folder, body, mark) as process:
        output, _ = process.communicate()
    assert not list(folder.glob("there-*"))
    return process.returncode, output


def test_each_test_is_run_and_told_of_once(tmp_path: Path) -> None:
    """Every test is run, one that fails is named, and the run fails with it."""
    code, output = run(tmp_path, "assert number != 7")
    assert "1 failed, 19 passed" in output
    assert re.search(r"^FAILED .*test_some\.py::test_it\[7\]", output, re.MULTILINE)
    assert code == 1


def test_a_group_is_run_by_one_process(tmp_path: Path) -> None:
    """What shares a server is dealt out as one, however many processes there are."""
    body = "with there.with_name('seen').open('a') as seen: print(os.getpid(), file=seen)"
    code, output = run(tmp_path, body, GROUP)
    assert code == 0, output
    pids = (tmp_path / "seen").read_text().split()
    assert len(pids) == 20
    assert len(set(pids)) == 1


def test_a_fork_that_dies_fails_its_test(tmp_path: Path) -> None:
    """The test at which a process ends is named and has failed; all others are run, those of its group too."""
    body = "number == 7 and (there.unlink(), os._exit(0))"
    code, output = run(tmp_path, body, GROUP)
    assert "a process ended while it ran test_some.py::test_it[7]" in output
    assert "1 failed, 19 passed" in output
    assert code == 1


def test_ctrl_c_ends_everything(tmp_path: Path) -> None:
    """When the first process is interrupted, tests that would run for ever end, and what they use is taken down."""
    with start(tmp_path, "there.with_name(f'runs-{number}').touch(); threading.Event().wait()") as process:
        deadline = time.monotonic() + LIMIT_SECONDS
        while len(list(tmp_path.glob("runs-*"))) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=LIMIT_SECONDS)
    assert "KeyboardInterrupt" in output
    assert process.returncode == 2
    assert not list(tmp_path.glob("there-*"))

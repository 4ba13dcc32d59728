"""Child processes: what they write, how they end, and that none outlives its parent."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from devstack.child import LARGEST_LOG_BYTES, Child
from devstack.waiting import wait_until

LIMIT_SECONDS = 10.0
SLEEP = "import time; print('ready'); time.sleep(60)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready'); time.sleep(60)"
PARENT = """
import sys, time
from pathlib import Path
from devstack.child import Child
print(Child([sys.executable, "-u", "-c", sys.argv[2]], Path(sys.argv[1])).pid, flush=True)
time.sleep(60)
"""

PythonChild = Callable[[str], list[str]]


@pytest.fixture
def log_path(tmp_path: Path) -> Path:
    """Where the child writes."""
    return tmp_path / "logs" / "child.log"


def wait_for_text(log_path: Path, text: str) -> None:
    """Wait until the log has that text."""
    assert wait_until(lambda: text in log_path.read_text(), LIMIT_SECONDS), log_path.read_text()


def state_of(pid: int) -> str:
    """Return the state of a process; T is a paused one."""
    return subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout


def test_the_tail_holds_what_this_child_wrote_last(log_path: Path, python_child: PythonChild) -> None:
    """The tail has the last lines of this start, not those of an earlier one."""
    for code, last_line in (("print('earlier')", "earlier"), ("for n in range(20): print('line', n)", "line 19")):
        child = Child(python_child(code), log_path)
        wait_for_text(log_path, last_line)
        child.stop()
    assert child.tail().splitlines() == [f"line {n}" for n in range(5, 20)]


def test_a_missing_command_is_said_in_the_log(log_path: Path) -> None:
    """A command that does not exist ends with a sentence in its log and a shell's exit code."""
    child = Child(["/does/not/exist"], log_path)
    assert wait_until(lambda: not child.is_running, LIMIT_SECONDS)
    assert child.exit_code == 127
    assert child.tail() == "/does/not/exist cannot be run: No such file or directory"


def test_stop_ends_a_paused_child(log_path: Path, python_child: PythonChild) -> None:
    """A paused child is ended by SIGTERM like any other."""
    child = Child(python_child(SLEEP), log_path)
    wait_for_text(log_path, "ready")
    child.pause()
    assert wait_until(lambda: state_of(child.pid).startswith("T"), LIMIT_SECONDS)
    child.stop()
    assert child.exit_code == -signal.SIGTERM
    assert child.ending() == "was ended by SIGTERM"


def test_stop_kills_after_the_limit(log_path: Path, python_child: PythonChild) -> None:
    """A child that does not listen to SIGTERM is killed at the limit."""
    child = Child(python_child(DEAF), log_path)
    wait_for_text(log_path, "ready")
    child.stop(limit_seconds=0.2)
    assert child.exit_code == -signal.SIGKILL


def test_a_child_outlives_the_thread_that_started_it(log_path: Path, python_child: PythonChild) -> None:
    """The end of the thread that asked for a child does not end the child."""
    children: list[Child] = []

    def start() -> None:
        children.append(Child(python_child(SLEEP), log_path))
        wait_for_text(log_path, "ready")

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    time.sleep(0.2)  # nothing to wait for: it must still be there
    assert children[0].is_running
    children[0].kill()


def test_a_child_has_a_session_of_its_own(log_path: Path) -> None:
    """Ctrl-C in the parent's terminal does not reach the child, which the parent ends itself."""
    child = Child(["sleep", "60"], log_path)
    assert os.getsid(child.pid) != os.getsid(0)
    child.kill()


def test_no_child_outlives_its_parent(
    log_path: Path, start_python: Callable[..., tuple[subprocess.Popen[str], str]], is_gone: Callable[[int], bool]
) -> None:
    """Kill -9 of the parent ends the child."""
    parent, printed = start_python("-c", PARENT, str(log_path), SLEEP, lines=1)
    pid = int(printed)
    wait_for_text(log_path, "ready")
    assert not is_gone(pid)
    parent.kill()
    assert wait_until(lambda: is_gone(pid), LIMIT_SECONDS)


def test_a_log_has_a_limit(log_path: Path) -> None:
    """A log that has grown over its limit is put aside at the next start."""
    log_path.parent.mkdir()
    with log_path.open("wb") as log:
        log.truncate(LARGEST_LOG_BYTES + 1)
    Child(["echo", "hello"], log_path).stop()
    assert log_path.stat().st_size < 100
    assert log_path.with_suffix(".log.1").stat().st_size == LARGEST_LOG_BYTES + 1

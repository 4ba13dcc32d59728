"""The guard where the kernel does not tie a child to its parent (macOS)."""

import subprocess
import sys
from collections.abc import Callable

from devstack import guard
from devstack.waiting import wait_until

LIMIT_SECONDS = 10.0
# The watching kind on any system: the guard sees another platform's name.
WATCHED_SLEEP = """
import os, subprocess, sys
code = (
    "import sys; from devstack import guard; sys.platform = 'darwin'; "
    "guard.become(int(sys.argv[1]), ['sleep', '60'])"
)
child = subprocess.Popen([sys.executable, "-c", code, str(os.getpid())])
print(child.pid, flush=True)
child.wait()
"""


def command_of(pid: int) -> str:
    """Return the name of the program that runs in that process."""
    ps = subprocess.run(["ps", "-o", "comm=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return ps.stdout.strip()


def test_without_a_kernel_that_helps_the_parent_is_watched(
    start_python: Callable[..., tuple[subprocess.Popen[str], str]], is_gone: Callable[[int], bool]
) -> None:
    """Kill -9 of the parent ends the child where only watching is possible, too."""
    parent, printed = start_python("-c", WATCHED_SLEEP, lines=1)
    pid = int(printed)
    assert wait_until(lambda: command_of(pid) == "sleep", LIMIT_SECONDS)
    parent.kill()
    parent.wait()
    assert wait_until(lambda: is_gone(pid), LIMIT_SECONDS)


def test_whose_parent_is_gone_does_not_start() -> None:
    """A command whose parent died before it began is not run."""
    nobody = "1"
    done = subprocess.run([sys.executable, guard.__file__, nobody, "echo", "hello"], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (guard.EXIT_NOT_FOUND, b"")

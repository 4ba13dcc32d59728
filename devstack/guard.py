"""Become the given command, which then ends when the process that asked for it does, however that one ends.

Run as a script: `python -I -S guard.py <pid of the parent> <command> ...`. It replaces itself by the command, so the
process id stays, and signals reach the command itself. On Linux the kernel keeps the promise (it survives exec);
elsewhere a small process watches the parent.
"""

import ctypes
import os
import signal
import sys
import time

PR_SET_PDEATHSIG = 1  # linux/prctl.h
WATCH_SECONDS = 0.5
EXIT_NOT_FOUND = 127  # what a shell says


def tie_to_parent() -> None:
    """Ask the kernel for SIGKILL when the thread that started this process is gone."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")


def is_alive(pid: int) -> bool:
    """Say whether a process of ours has that id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def watch_parent(parent: int) -> None:
    """Leave a process behind that kills this one when the parent is gone.

    It is forked twice, so that the command has no child it does not know of.
    """
    watched = os.getpid()
    if first := os.fork():
        os.waitpid(first, 0)
        return
    if os.fork() == 0:
        while is_alive(parent) and is_alive(watched):
            time.sleep(WATCH_SECONDS)
        if is_alive(watched):
            os.kill(watched, signal.SIGKILL)
    os._exit(0)


def become(parent: int, command: list[str]) -> None:
    """Replace this process by the command."""
    if sys.platform == "linux":
        tie_to_parent()
    else:
        watch_parent(parent)
    if os.getppid() != parent:  # it died before the tie was made
        sys.exit(EXIT_NOT_FOUND)
    try:
        os.execvp(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as error:
        sys.stderr.write(f"{command[0]} cannot be run: {error.strerror}\n")
        sys.exit(EXIT_NOT_FOUND)


if __name__ == "__main__":
    become(int(sys.argv[1]), sys.argv[2:])

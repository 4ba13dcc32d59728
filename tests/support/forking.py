"""`python -m tests.support.forking SOCKET MODULE...`: a Python that has imported modules, and forks into programs.

A fork goes on as the program that it was asked for, as `python -m NAME` and `python -c TEXT` do, up to its end: Python
itself deals with its exit code, its threads and what is to be done at exit. Its parent is whoever asked.
"""

import ctypes
import gc
import json
import os
import runpy
import socket
import sys
import time
from importlib import import_module
from types import ModuleType
from typing import Any, Final

LARGEST_REQUEST_BYTES: Final = 1 << 20
ADOPTED: Final = b"adopted"
STREAMS: Final = 3  # standard input, output and error are sent with each request
_SET_CHILD_SUBREAPER: Final = 36  # from linux/prctl.h


def adopt(*, orphans: bool) -> None:
    """Have this process become the parent of descendants whose parent ends, or no longer."""
    if ctypes.CDLL(None, use_errno=True).prctl(_SET_CHILD_SUBREAPER, int(orphans), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def wait_for_request(asking: socket.socket) -> dict[str, Any]:
    """Answer requests with the process number of a fork each; return, in the fork, what was asked for.

    The fork is one of a fork that ends at once, so that whoever asked, who adopts orphans, becomes its parent; a second
    answer says that this has come to pass.
    """
    while True:
        request, streams, *_ = socket.recv_fds(asking, LARGEST_REQUEST_BYTES, STREAMS)
        if not request:
            sys.exit()
        if child := os.fork():
            os.waitpid(child, 0)
            asking.send(ADOPTED)
        elif (between := os.getpid()) and (grandchild := os.fork()):
            asking.send(str(grandchild).encode())
            os._exit(0)
        else:
            _wait_for_another_parent(between)
            asking.close()
            _use(streams)
            return dict(json.loads(request))
        for stream in streams:
            os.close(stream)


def _wait_for_another_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.001)


def _use(streams: list[int]) -> None:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    for stream in streams:
        os.close(stream)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - a descriptor, for good
    sys.stdout = open(1, "w", buffering=1 if os.isatty(1) else -1, closefd=False)  # noqa: SIM115 - as above
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115 - as above


def become(words: list[str], environment: dict[str, str], directory: str) -> None:
    """Run `-m NAME` or `-c TEXT` as Python would."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    kind, what, *arguments = words
    if kind == "-m":
        sys.argv = [what, *arguments]
        runpy.run_module(what, run_name="__main__", alter_sys=True)
        return
    sys.argv = [kind, *arguments]
    main = ModuleType("__main__")
    sys.modules["__main__"] = main
    exec(compile(what, "<string>", "exec"), main.__dict__)  # noqa: S102 - the program that a test starts


if __name__ == "__main__":
    for module in sys.argv[2:]:
        import_module(module)
    gc.collect()
    gc.freeze()  # what is there is shared with every fork; a collection that looked at it would copy it
    become(**wait_for_request(socket.socket(fileno=int(sys.argv[1]))))

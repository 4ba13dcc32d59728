"""`python -m NAME` and `python -c TEXT` as tests of workers start them: forked from a Python that has imported modules.

For who starts it a fork is a child like any other, with its streams, its signals and its exit code. What is about the
start of a program is started by Python.
"""

import atexit
import inspect
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from tests.support.forking import ADOPTED, adopt

PROJECT: Final = Path(__file__).parents[2]
NEEDED: Final = (
    "operator_status.commands.command_line",
    "operator_status.commands.exec_command",
    "worker.command_line",
    "tests.support.soon_again",
)
LIMIT_SECONDS: Final = 60.0
_STREAMS: Final = ("p2cread", "c2pwrite", "errwrite")  # as subprocess calls a child's standard streams
_SIGNATURE: Final = inspect.signature(subprocess.Popen._execute_child)  # type: ignore[attr-defined] # noqa: SLF001 - as below
_ASKING: Final = threading.Lock()


class Fork(subprocess.Popen[bytes]):
    """A program of Python: the words behind `python`, and an environment; all else is as with Popen."""

    def __init__(self, words: tuple[str, ...], environment: Mapping[str, str], **options: Any) -> None:
        """Start it."""
        super().__init__(words, env=environment, **options)

    def _execute_child(self, *given: Any) -> None:
        """Have it forked. It is the one step of Popen that differs, and there is no public way to replace it."""
        options = _SIGNATURE.bind(self, *given).arguments
        request = {
            "words": options["args"],
            "environment": options["env"],
            "directory": str(options["cwd"] or Path.cwd()),
        }
        streams = [number if options[name] == -1 else options[name] for number, name in enumerate(_STREAMS)]
        with _ASKING:
            adopt(orphans=True)
            try:
                socket.send_fds(_forking(), [json.dumps(request).encode()], streams)
                self.pid = int(_forking().recv(16))
                assert _forking().recv(16) == ADOPTED
            finally:
                adopt(orphans=False)
        self._child_created = True
        pipes = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        self._close_pipe_fds(*(options[name] for name in pipes))  # type: ignore[attr-defined]


def run(
    words: tuple[str, ...], environment: Mapping[str, str], directory: Path = PROJECT
) -> "subprocess.CompletedProcess[bytes]":
    """Run a program to its end."""
    with Fork(words, environment, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            output, errors = process.communicate(timeout=LIMIT_SECONDS)
        finally:
            process.kill()
    return subprocess.CompletedProcess(words, process.returncode, output, errors)


@cache
def _forking() -> socket.socket:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-m", "tests.support.forking", str(theirs.fileno()), *NEEDED]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
    theirs.close()
    atexit.register(process.wait)
    atexit.register(ours.close)  # which ends it
    return ours

"""`python -m MODULE` as tests start it: forked from a process that has imported everything, or by Python itself.

To import a program takes longer than most tests need; a fork server does it once, and its forks are processes like
others. What is measured, and what is about the start of a program, is started by Python.
"""

import multiprocessing
import multiprocessing.forkserver
import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Final, Protocol

_FORKING: Final = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(["tests.support.preloaded"])
# How a fork ended can be read once, and to start one reads it of all others.
_READING: Final = threading.Lock()


class Process(Protocol):
    """A running program, as `subprocess.Popen` has it."""

    pid: int

    @property
    def returncode(self) -> int | None:
        """The exit code as far as it is known; -N when signal N ended it."""

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code once it has ended; subprocess.TimeoutExpired after so many seconds."""

    def send_signal(self, sig: int) -> None:
        """Send it a signal, unless it has ended."""

    def terminate(self) -> None:
        """Ask it to end."""

    def kill(self) -> None:
        """End it at once."""


# Starts a module with arguments and an environment; what it prints is appended to one file, its errors to another.
Start = Callable[[str, Sequence[str], Mapping[str, str], Path, Path], Process]


def started(
    module: str, arguments: Sequence[str], environment: Mapping[str, str], output: Path, errors: Path
) -> Process:
    """Start a module by Python."""
    with output.open("ab") as out, errors.open("ab") as err:
        return subprocess.Popen([sys.executable, "-m", module, *arguments], env=environment, stdout=out, stderr=err)


class Forked:
    """A module that runs in a fork."""

    def __init__(
        self, module: str, arguments: Sequence[str], environment: Mapping[str, str], output: Path, errors: Path
    ) -> None:
        """Start it; the files are there when this returns, as with Python."""
        for path in (output, errors):
            path.touch()
        self._process = _FORKING.Process(
            target=_run,
            args=(fork_server(), module, tuple(arguments), dict(environment), (output, errors)),
            name=module,
        )
        with _READING:
            self._process.start()
        assert self._process.pid  # 0 would stand for everybody here, when a signal is sent
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code."""
        return self.poll()

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        with _READING:
            return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code once it has ended."""
        wait([self._process.sentinel], timeout)
        if (code := self.poll()) is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0)
        return code

    def send_signal(self, sig: int) -> None:
        """Send it a signal."""
        if self.poll() is None:
            os.kill(self.pid, sig)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


def run(
    module: str, arguments: Sequence[str], environment: Mapping[str, str], directory: Path, timeout: float
) -> "subprocess.CompletedProcess[str]":
    """Run a module in a fork to its end and return its exit code and what it printed."""
    name = f"{module}-{os.urandom(4).hex()}"
    output, errors = directory / f"{name}.out", directory / f"{name}.err"
    process = Forked(module, arguments, environment, output, errors)
    try:
        code = process.wait(timeout)
    finally:
        process.kill()
    return subprocess.CompletedProcess([module, *arguments], code, output.read_text(), errors.read_text())


def fork_server() -> str:
    """Return where the fork server of this process is; it is started when there is none yet."""
    server: Any = multiprocessing.forkserver._forkserver  # noqa: SLF001 - there is no public way
    server.ensure_running()
    return str(server._forkserver_address)  # noqa: SLF001 - as above


def _run(
    server: str, module: str, arguments: tuple[str, ...], environment: dict[str, str], files: tuple[Path, Path]
) -> None:
    """Do in the fork what Python does before it runs a module."""
    # Imported here: it was, beforehand, in the fork, and others that start processes have no need of it.
    from tests.support.followers import fork_followers  # noqa: PLC0415

    fork_followers(server)
    os.environ.clear()
    os.environ.update(environment)
    for number, path in enumerate(files, start=1):
        with path.open("ab") as file:
            os.dup2(file.fileno(), number)
    sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115 - a descriptor, for good
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115 - as above
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)

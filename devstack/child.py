"""A child process that leaves nothing behind, with its output in a log file."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from devstack import guard

STOP_LIMIT_SECONDS = 20.0
TAIL_LINES = 15
TAIL_BYTES = 16_384
LARGEST_LOG_BYTES = 16 * 2**20


class Child:
    """A running command; it ends when this process does, even by SIGKILL.

    It has its own session, so that Ctrl-C in a terminal reaches this process alone, which ends its children in order.
    """

    def __init__(self, arguments: Sequence[str], log_path: Path, environment: Mapping[str, str] | None = None) -> None:
        """Start it; both its outputs are appended to the log."""
        self.log_path = log_path
        _make_room(log_path)
        self._log_start = log_path.stat().st_size
        self._process = _spawner(os.getpid()).submit(_spawn, arguments, log_path, environment).result()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended; a paused one has not."""
        return self.exit_code is None

    @property
    def exit_code(self) -> int | None:
        """None while it runs; -N when signal N ended it."""
        return self._process.poll()

    def ending(self) -> str:
        """Say how it ended."""
        code = self.exit_code
        if code is not None and code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"

    def stop(self, limit_seconds: float = STOP_LIMIT_SECONDS) -> None:
        """End it with SIGTERM, and with SIGKILL when it takes longer than the limit."""
        self._process.terminate()
        self.resume()  # a paused process would never see the signal
        try:
            self._process.wait(limit_seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it with SIGKILL and wait until it is gone."""
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """Stop it where it is (SIGSTOP); its sockets stay open."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused one go on (SIGCONT)."""
        self._process.send_signal(signal.SIGCONT)

    def tail(self) -> str:
        """Return the last lines it wrote."""
        return "\n".join(self._output(TAIL_BYTES).splitlines()[-TAIL_LINES:])

    def wrote(self, text: str) -> bool:
        """Say whether that is in what it wrote."""
        return text in self._output(LARGEST_LOG_BYTES)

    def _output(self, limit_bytes: int) -> str:
        """Return the end of what this start wrote."""
        with self.log_path.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, size - limit_bytes))
            return log.read().decode(errors="replace")


def _make_room(log_path: Path) -> None:
    log_path.parent.mkdir(parents=True, exist_ok=True)
    log_path.touch()
    if log_path.stat().st_size > LARGEST_LOG_BYTES:
        log_path.replace(log_path.with_suffix(".log.1"))
        log_path.touch()


@cache
def _spawner(_pid: int) -> ThreadPoolExecutor:
    """Return the one thread that starts children: the kernel ends a child with the thread that started it.

    Threads do not survive a fork, hence one for each process id.
    """
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")


def _spawn(arguments: Sequence[str], log_path: Path, environment: Mapping[str, str] | None) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-I", "-S", guard.__file__, str(os.getpid()), *arguments]
    with log_path.open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - the command is ours
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )

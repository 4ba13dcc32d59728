"""A command that runs as if nobody stood between: our streams are its, our signals reach it, its exit code is ours."""

import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import FrameType
from typing import Final, NamedTuple

NOT_FOUND: Final = 127
NOT_EXECUTABLE: Final = 126
SIGNALLED: Final = 128
MAX_LINE_BYTES: Final = 4096
DRAIN_SECONDS: Final = 1.0  # for the rest of standard error, which a process that stayed behind may hold open

_PASSED_ON: Final = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGCONT")
_FROM_TERMINALS: Final = frozenset({signal.SIGINT, signal.SIGQUIT})  # which a terminal sends to the command as well
_ENDING: Final = frozenset({signal.SIGTERM, signal.SIGINT})
_STANDARD_ERROR: Final = 2


class Ended(NamedTuple):
    """How a command ended: its exit code as a shell tells it, and that as the outcome of a job."""

    code: int
    outcome: str
    error: str = ""


class Child:
    """One run of a command."""

    def __init__(self, command: Sequence[str], *, has_error_line: bool) -> None:
        """Describe it; with an error line its standard error passes through us."""
        self._command = command
        self._has_error_line = has_error_line
        self._process: subprocess.Popen[bytes] | None = None
        self._come: set[int] = set()
        self._tail = b""
        self._reader: threading.Thread | None = None

    def start(self, environment: Mapping[str, str]) -> Ended | None:
        """Begin, and pass signals on from now on; how it ended when it cannot even begin."""
        for name in _PASSED_ON:
            number = getattr(signal, name, None)
            if number and signal.getsignal(number) is not signal.SIG_IGN:  # such as SIGHUP under nohup
                signal.signal(number, self._pass_on)
        error_stream = subprocess.PIPE if self._has_error_line else None
        try:
            self._process = subprocess.Popen(  # noqa: S603 - asked for
                self._command,
                env=environment,
                stderr=error_stream,
                close_fds=False,  # what we were handed, such as make's job server, is for the command
            )
        except FileNotFoundError as error:
            return Ended(NOT_FOUND, "failed", f"{error.filename}: command not found")
        except OSError as error:
            return Ended(NOT_EXECUTABLE, "failed", f"{self._command[0]}: {error.strerror}")
        for number in tuple(self._come):  # what came before it could be passed on
            self._process.send_signal(number)
        if self._process.stderr:
            self._reader = threading.Thread(target=self._read, args=(self._process.stderr.fileno(),), daemon=True)
            self._reader.start()
        return None

    def wait(self) -> Ended:
        """Return how it ended."""
        if self._process is None:
            raise RuntimeError("not started")
        code = self._process.wait()
        if self._reader:
            self._reader.join(DRAIN_SECONDS)
        if code < 0:
            return self._signalled(-code)
        if code and code == SIGNALLED + signal.SIGKILL:
            return self._signalled(signal.SIGKILL)
        is_ended = _ENDING.intersection(self._come) or code - SIGNALLED in _ENDING
        if is_ended:
            return Ended(code, "cancelled", self._last_line)
        return Ended(code, "failed", self._last_line or f"exit code {code}") if code else Ended(0, "succeeded")

    def _signalled(self, number: int) -> Ended:
        code = SIGNALLED + number
        if number in _ENDING or _ENDING.intersection(self._come):
            return Ended(code, "cancelled", self._last_line)
        name = signal.Signals(number).name if number in set(signal.Signals) else "no known signal"
        why = ": out of memory, or killed by somebody" if number == signal.SIGKILL else ""
        return Ended(code, "failed", self._last_line or f"ended by signal {number} ({name}){why}")

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        self._come.add(number)
        if self._process is None or (number in _FROM_TERMINALS and _is_from_terminal()):
            return
        with suppress(OSError):
            self._process.send_signal(number)

    @property
    def _last_line(self) -> str:
        lines = self._tail.decode("utf-8", "replace").split("\n")
        return next((text for line in reversed(lines) if (text := line.strip())), "")

    def _read(self, stream: int) -> None:
        """Copy standard error, and remember its end."""
        with suppress(OSError):
            while data := os.read(stream, 65536):
                self._tail = (self._tail + data)[-MAX_LINE_BYTES:]
                with suppress(OSError):  # nobody reads ours: the command is not to notice
                    while data:
                        data = data[os.write(_STANDARD_ERROR, data) :]


def _is_from_terminal() -> bool:
    """Tell whether we are in the foreground of a terminal, which sends signals of its keys to all processes there."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False

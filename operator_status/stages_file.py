"""The file in which a command tells its stages: one line of JSON each, appended.

The command may have it open already, as a descriptor of a number that it knows. That is the same file and no pipe: what
is written there never waits for us, and fails for nobody when we are killed.
"""

import errno
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from operator_status.job import NAMES_IN_EVENTS
from operator_status.published import STAGES

VARIABLE: Final = "OPERATOR_STAGES_FILE"
DESCRIPTOR_VARIABLE: Final = "OPERATOR_STAGES_FD"
MAX_LINE_BYTES: Final = 256 * 1024
READ_BYTES: Final = 1024 * 1024

_PYTHON_NAMES: Final = {name: python for python, name in NAMES_IN_EVENTS.items()} | {"time": "time"}


class StagesFile:
    """A file that the command appends to and that we read on; a line that makes no sense is passed over."""

    def __init__(self, path: str | None) -> None:
        """Use this file from its present end on, or one of our own; OSError when it cannot be made."""
        self._is_ours = path is None
        if path is None:
            number, path = tempfile.mkstemp(prefix="operator-stages-")
            os.close(number)
        self.path = Path(path)
        self._file = self.path.open("a+b")
        self._rest = b""
        self.refused = 0
        self._descriptor: int | None = None

    def open_as(self, number: int) -> None:
        """Open it for appending as this descriptor, for the command to have; OSError when something else is that."""
        import fcntl  # noqa: PLC0415 - not on Windows, where a command is handed no descriptors

        writing = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        try:
            given = fcntl.fcntl(writing, fcntl.F_DUPFD, number)  # the next one that is free, for the command to inherit
        finally:
            os.close(writing)
        if given != number:
            os.close(given)
            raise OSError(errno.EBUSY, f"descriptor {number} is in use")
        self._descriptor = number

    def variables(self) -> dict[str, str]:
        """Return the variables by which the command finds it."""
        descriptor = {} if self._descriptor is None else {DESCRIPTOR_VARIABLE: str(self._descriptor)}
        return {VARIABLE: str(self.path), **descriptor}

    def hand_over(self) -> None:
        """Close the descriptor, which the command has by now."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None

    def close(self) -> None:
        """Remove a file of our own."""
        self.hand_over()
        self._file.close()
        if self._is_ours:
            with suppress(OSError):
                self.path.unlink()

    def told(self, *, is_over: bool = False) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield stage and details, by their Python names, of each new line; at the end of an unfinished one too."""
        data = self._rest + self._file.read(READ_BYTES)
        *lines, self._rest = data.split(b"\n")
        if is_over or len(self._rest) > MAX_LINE_BYTES:
            lines.append(self._rest)
            self._rest = b""
        for line in lines:
            if not line.strip():
                continue
            told = _understood(line)
            if told:
                yield told
            else:
                self.refused += 1


def _understood(line: bytes) -> tuple[str, dict[str, Any]] | None:
    try:
        given = json.loads(line)
        stage = given.pop("stage")
    except (ValueError, RecursionError, AttributeError, TypeError, KeyError):
        return None
    if stage not in STAGES:
        return None
    return stage, {_PYTHON_NAMES.get(name, name): value for name, value in given.items()}

"""The file in which a command tells its stages: one line of JSON each, appended.

The command may have it open already, as a descriptor of a number that it knows. That is the same file and no pipe: what
is written there never waits for us, and fails for nobody when we are killed.
"""

import json
import logging
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

_log = logging.getLogger(__name__)
_PYTHON_NAMES: Final = {name: python for python, name in NAMES_IN_EVENTS.items()} | {"time": "time"}


class StagesFile:
    """A file that the command appends to and that we read on; a line that makes no sense is passed over."""

    def __init__(self, path: str | None, descriptor: int | None = None) -> None:
        """Use this file from its present end on, or one of our own; OSError when it cannot be made.

        The descriptor is taken first, before anything else of ours can have its number.
        """
        self._descriptor = None if descriptor is None or _is_in_use(descriptor) else descriptor
        self._is_ours = path is None
        if self._descriptor is not None:
            _open_as(os.devnull, self._descriptor)
        if path is None:
            number, path = tempfile.mkstemp(prefix="operator-stages-")
            os.close(number)
        self.path = Path(path)
        self._file = self.path.open("a+b")
        self._rest = b""
        self.refused = 0
        if self._descriptor is not None:
            _open_as(self.path, self._descriptor)

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


def _is_in_use(descriptor: int) -> bool:
    """Tell whether a descriptor is there that the caller opened."""
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    _log.warning("the command cannot report stages by descriptor %d, which is in use", descriptor)
    return True


def _open_as(path: Path | str, descriptor: int) -> None:
    """Open a file for appending as this descriptor, which the command inherits."""
    writing = os.open(path, os.O_WRONLY | os.O_APPEND)
    if writing == descriptor:
        os.set_inheritable(writing, True)  # noqa: FBT003 - its only other argument
        return
    os.dup2(writing, descriptor)
    os.close(writing)


def _understood(line: bytes) -> tuple[str, dict[str, Any]] | None:
    try:
        given = json.loads(line)
        stage = given.pop("stage")
    except (ValueError, RecursionError, AttributeError, TypeError, KeyError):
        return None
    if stage not in STAGES:
        return None
    return stage, {_PYTHON_NAMES.get(name, name): value for name, value in given.items()}

"""The file in which a command tells its stages: one line of JSON each, appended."""

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

    def close(self) -> None:
        """Remove a file of our own."""
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

"""Lines that stay and one line that is written again and again."""

import shutil
import time
from typing import Self, TextIO

PLAIN_LINE_SECONDS = 5.0
CLEAR_LINE = "\r\x1b[K"


class Screen:
    """A terminal with a live line at its end; elsewhere (a file, a pipe) that line comes plain every 5 s."""

    def __init__(self, stream: TextIO) -> None:
        """Write to the stream."""
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._plain_line_due = 0.0
        self._live = ""

    def say(self, line: str) -> None:
        """Write a line that stays, above the live one."""
        self._write(f"{self._clear()}{line}\n{self._live}")

    def show(self, line: str) -> None:
        """Replace the live line."""
        if self._is_terminal:
            clear = self._clear()
            self._live = line[: shutil.get_terminal_size().columns - 1]
            self._write(f"{clear}{self._live}")
        elif time.monotonic() >= self._plain_line_due:
            self._plain_line_due = time.monotonic() + PLAIN_LINE_SECONDS
            self._write(f"{line}\n")

    def __enter__(self) -> Self:
        """Write nothing yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let the live line stay."""
        if self._live:
            self._write("\n")
            self._live = ""

    def _clear(self) -> str:
        return CLEAR_LINE if self._live else ""

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()

"""One user at a time for a directory."""

import fcntl
import os
from pathlib import Path
from typing import Self, TextIO

from devstack.errors import DirectoryInUseError, DirectoryUnusableError


class DirectoryLock:
    """A lock on a directory that ends with the process that holds it; its file names that process."""

    def __init__(self, directory: Path) -> None:
        """Name the directory; it is made when the lock is taken."""
        self.directory = directory
        self._file: TextIO | None = None

    def acquire(self) -> None:
        """Take the lock, or raise DirectoryInUseError at once."""
        if self._file:
            return
        file = self._open()
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            pid = file.read().strip() or "unknown"
            file.close()
            raise DirectoryInUseError(directory=self.directory, pid=pid) from None
        self._sign(file)

    def release(self) -> None:
        """Let the next one in; harmless when repeated."""
        if self._file:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        """Wait for the lock as long as it takes."""
        file = self._open()
        fcntl.flock(file, fcntl.LOCK_EX)
        self._sign(file)
        return self

    def __exit__(self, *_: object) -> None:
        """Release it."""
        self.release()

    def _open(self) -> TextIO:
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            return (self.directory / "lock").open("a+", encoding="ascii")
        except OSError as error:
            raise DirectoryUnusableError(directory=self.directory, reason=error.strerror) from error

    def _sign(self, file: TextIO) -> None:
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        self._file = file

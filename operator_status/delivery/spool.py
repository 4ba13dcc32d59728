"""Reports on disk until Kafka has them: one file each, written whole or not at all.

Case 1: a process is killed while it writes. What it left is not called `.json`, nobody reads it, and whoever looks at
the spool an hour later removes it.
Case 2: it is killed before it removed a report that Kafka has. The report is sent once more, which changes nothing.
Case 3: several processes share the spool. Each sends its own reports; what others left is sent by the one that has the
lock, which ends with its process, however that ends.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import blake2b
from itertools import count
from pathlib import Path
from time import time
from typing import Final, NamedTuple

from operator_status.event import MAX_RECORD_BYTES, Report

MAX_SPOOLED_REPORTS: Final = 10_000
MAX_SPOOL_BYTES: Final = 64 * 1024 * 1024
ABANDONED_SECONDS: Final = 3600  # a file that was not finished for so long is nobody's

_SUFFIX: Final = ".json"
_UNFINISHED: Final = ".tmp"
_DAMAGED: Final = ".damaged"
_LOCK: Final = ".lock"
_number: Final = count()


class SpoolFullError(OSError):
    """The spool holds as many reports, or as many bytes, as it may."""


class SpooledReport(NamedTuple):
    """A report that is on disk."""

    path: Path
    key: bytes
    value: bytes


class Spool:
    """The reports for one topic that are on this machine's disk; processes may share it."""

    def __init__(self, directory: Path | str, topic: str) -> None:
        """Use a folder of the topic's name in the directory; both are made when they are needed."""
        self.directory: Final = Path(directory).absolute() / topic  # a job may change its folder
        self._stuck: set[Path] = set()

    def keep(self, report: Report) -> None:
        """Write a report; OSError when that is not possible, and then nothing of it is left."""
        path = self.path_of(report)
        unfinished = path.with_name(f".{path.stem}.{os.getpid()}.{next(_number)}{_UNFINISHED}")
        self._check_room(len(report.value))
        try:
            with unfinished.open("xb") as file:
                file.write(report.value)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        except OSError:
            with suppress(OSError):
                unfinished.unlink()
            raise

    def forget(self, report: Report) -> None:
        """Remove a report that Kafka has; harmless when somebody else did."""
        self.remove(self.path_of(report))

    def remove(self, path: Path) -> None:
        """Remove a file; one that cannot be removed, as somebody else's, is left to others from now on."""
        try:
            path.unlink(missing_ok=True)
        except OSError:
            self._stuck.add(path)

    def left(self) -> Iterator[SpooledReport]:
        """Yield what is there, whoever wrote it; a file that holds no report is renamed, for somebody to see."""
        for path in self._files(_SUFFIX):
            try:
                value = path.read_bytes()
            except OSError:
                continue  # delivered by somebody else meanwhile, or not for us to read
            key = _key_of(value)
            if key is None:
                self.set_aside(path)
                continue
            yield SpooledReport(path, key, value)

    def set_aside(self, path: Path) -> None:
        """Rename a file that is of no use to Kafka."""
        try:
            path.replace(path.with_suffix(_DAMAGED))
        except OSError:
            self._stuck.add(path)

    def has_left(self) -> bool:
        """Tell whether there is any report."""
        return bool(self._files(_SUFFIX))

    @contextmanager
    def lock(self) -> Iterator[bool]:
        """Yield whether this process alone sends what others left; the lock ends with the block or the process."""
        try:
            import fcntl  # noqa: PLC0415 - not on Windows, where two may send the same, which changes nothing
        except ImportError:
            yield self.directory.is_dir()
            return
        try:
            file = (self.directory / _LOCK).open("ab")
        except OSError:  # nothing was left, or nothing of it could be removed
            yield False
            return
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
                return
            self._sweep()
            yield True

    def path_of(self, report: Report) -> Path:
        """Return where a report is, or would be."""
        digest = blake2b(report.value, digest_size=8).hexdigest()
        return self.directory / f"{report.id}.{digest}{_SUFFIX}"

    def _check_room(self, size: int) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        with os.scandir(self.directory) as entries:
            sizes = [_size(entry) for entry in entries if entry.name.endswith((_SUFFIX, _DAMAGED))]
        if len(sizes) >= MAX_SPOOLED_REPORTS or sum(sizes) + size > MAX_SPOOL_BYTES:
            raise SpoolFullError(f"{len(sizes)} reports are in {self.directory}, which is as many as may be")

    def _sweep(self) -> None:
        for path in self._files(_UNFINISHED):
            with suppress(OSError):
                if path.stat().st_mtime < time() - ABANDONED_SECONDS:
                    path.unlink()

    def _files(self, suffix: str) -> Sequence[Path]:
        try:
            return sorted(path for path in {*self.directory.iterdir()} - self._stuck if path.name.endswith(suffix))
        except OSError:
            return []


def _size(entry: "os.DirEntry[str]") -> int:
    with suppress(OSError):
        return entry.stat().st_size
    return 0


def _key_of(value: bytes) -> bytes | None:
    """Return the key of a report's record; None when it is no report."""
    if len(value) > MAX_RECORD_BYTES:
        return None
    try:
        return str(json.loads(value)["data"]["jobId"]).encode()
    except (ValueError, TypeError, KeyError, RecursionError):
        return None

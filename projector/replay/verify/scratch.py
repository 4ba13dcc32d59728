"""The temporary database of a verify: how much it takes, that there is room for it, and what is said when there is not.

It is a scratch file: nothing of it has to survive, so it is never synced and has no journal.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from service.errors import CommandError

# Of a usual job: its facts, and its keys in Redis.
SCRATCH_BYTES_PER_JOB: Final = 2_200
# A job takes some 1.3 KB, and with smaller pages more is left of each where the next job does not fit.
_PAGE_BYTES: Final = 8192
_CACHE_KIBIBYTES: Final = 32 * 1024
_SETUP: Final = f"""
pragma page_size = {_PAGE_BYTES};
pragma journal_mode = off;
pragma synchronous = off;
pragma locking_mode = exclusive;
pragma cache_size = -{_CACHE_KIBIBYTES};
"""
_MEBIBYTE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Scratch:
    """A database in a temporary directory, which is gone afterwards."""

    directory: Path
    database: sqlite3.Connection

    def require_room(self, jobs: int) -> str:
        """Return about how much so many jobs take, and where; CommandError when there is not so much."""
        needed, free = jobs * SCRATCH_BYTES_PER_JOB, shutil.disk_usage(self.directory).free
        if needed > free:
            raise CommandError(
                f"the second fold of {jobs} jobs takes about {_mebibytes(needed)} and {self.directory.parent} has "
                f"{_mebibytes(free)} free: name another directory with --temporary-directory"
            )
        return f"about {_mebibytes(needed)} in {self.directory.parent}"


@contextmanager
def scratch(directory: Path | None) -> Iterator[Scratch]:
    """Yield a database in a directory, the system's temporary one when none is given.

    Raises CommandError when it cannot be made or written.
    """
    try:
        made = TemporaryDirectory(prefix="verify-", dir=directory)
    except OSError as error:
        raise CommandError(
            f"there can be no temporary file in {error.filename or directory}: {error.strerror}"
        ) from error
    with made as name:
        try:
            with closing(sqlite3.connect(Path(name) / "jobs.sqlite", isolation_level=None)) as database:
                database.executescript(_SETUP)
                yield Scratch(Path(name), database)
        except sqlite3.OperationalError as error:
            raise CommandError(
                f"the temporary file of the second fold in {Path(name).parent} cannot be written ({error}): make room "
                "there, or name another directory with --temporary-directory"
            ) from error


def _mebibytes(size_bytes: int) -> str:
    return f"{-(-size_bytes // _MEBIBYTE)} MiB"

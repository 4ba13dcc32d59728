"""Damage: what is stored under the name of a job and is none. It is named in the log, counted, and shown to nobody."""

import time
from collections.abc import Sequence
from typing import Final

import structlog

from api.metrics import Metrics
from schemas.redis_layout import INDEXES, JOB
from schemas.stored_job import check_stored

# Who follows a job reads the same again and again; so many of them are known to be sound, and as many that were before
# them. One takes some 50 bytes, and to find out 15 us.
REMEMBERED_JOBS: Final = 32_768
# A damaged key is named in the log this often, and so many are remembered for that.
NAMED_EVERY_SECONDS: Final = 60.0
NAMED_KEYS: Final = 1000

_log = structlog.get_logger(__name__)


class Damage:
    """Tells jobs from damage."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._sound: set[int] = set()
        self._sound_before: set[int] = set()
        self._named: dict[bytes, float] = {}

    def sound(self, base: str, indexes: tuple[str, ...], rows: list[list[bytes | None]]) -> list[list[bytes | None]]:
        """Return the rows that are jobs and stand in these indexes rightly; `base` is what their keys start with."""
        marks = [hash((indexes, *row)) for row in rows]
        if self._sound.issuperset(marks):
            return rows
        return [row for mark, row in zip(marks, rows, strict=True) if self._is_sound(base, indexes, row, mark)]

    def _is_sound(self, base: str, indexes: tuple[str, ...], row: Sequence[bytes | None], mark: int) -> bool:
        if mark in self._sound:
            return True
        if mark not in self._sound_before and not self._is_found_sound(base, indexes, row):
            return False
        if len(self._sound) >= REMEMBERED_JOBS:
            self._sound, self._sound_before = set(), self._sound
        self._sound.add(mark)
        return True

    def _is_found_sound(self, base: str, indexes: tuple[str, ...], row: Sequence[bytes | None]) -> bool:
        *job, _, _, member = row
        try:
            identity = check_stored(job, member)
            names = [index + str(value) for index, value in zip(INDEXES, identity, strict=False)]
            if not set(indexes) <= set(names):
                raise ValueError("an index that names it is not its own")  # noqa: TRY301 - one kind of thing
        except ValueError as error:
            self._metrics.damaged_job()
            self.name_key(f"{base}{JOB}".encode() + (member or b""), str(error))
            return False
        return True

    def name_key(self, key: bytes, fault: str) -> None:
        """Name a damaged key in the log, now and then."""
        now = time.monotonic()
        if now - self._named.get(key, -NAMED_EVERY_SECONDS) < NAMED_EVERY_SECONDS:
            return
        if len(self._named) >= NAMED_KEYS:
            self._named.clear()
        self._named[key] = now
        _log.error("what is stored is damaged", key=key.decode(errors="replace"), fault=fault)

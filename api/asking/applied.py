"""Reading one's own writes: an answer waits until records are applied, such as one that a worker has just written.

Nobody asks Redis for that again and again: all who wait look at what the follower of this process learns.
"""

import asyncio
import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from api.asking.errors import BadQueryError
from api.following.follower import Follower
from api.projection.errors import UnavailableError
from api.projection.standing import Standing

AFTER: Final = "after"
MAX_AFTER: Final = 8

_RECORD: Final = re.compile(r"([A-Za-z0-9._-]{1,249}/[0-9]{1,10}):([0-9]{1,15})")


class Record(NamedTuple):
    """A record of the log: its partition, by its name, and its offset."""

    partition: bytes
    offset: int


class NotAppliedError(UnavailableError):
    """A record is not applied yet; the text says how far its partition is."""


def parse_after(values: Iterable[str]) -> tuple[Record, ...]:
    """Return the records that are named; BadQueryError unless each is one, and they are few."""
    records = []
    for value in values:
        if not (found := _RECORD.fullmatch(value)):
            raise BadQueryError(f"{AFTER}: a topic, partition and offset such as job-events/3:1041")
        records.append(Record(found[1].encode(), int(found[2])))
    if len(records) > MAX_AFTER:
        raise BadQueryError(f"{AFTER}: given more than {MAX_AFTER} times")
    return tuple(records)


def are_applied(records: Iterable[Record], standings: Iterable[Standing]) -> bool:
    """Tell whether buckets that stand so have all of these records."""
    positions = [standing.positions for standing in standings]
    return all(it.get(partition, 0) > offset for it in positions for partition, offset in records)


class Applied:
    """Waits until records are applied."""

    def __init__(self, follower: Follower, seconds: float) -> None:
        self._follower = follower
        self._seconds = seconds

    async def wait(self, records: tuple[Record, ...], digest: str | None) -> None:
        """Return when the buckets that can hold an answer have all of the records; NotAppliedError after too long."""
        self._follower.want()
        try:
            async with asyncio.timeout(self._seconds):
                while not self._are_applied(records, digest):
                    await self._follower.moved()
        except TimeoutError:
            raise self._not_applied(records, digest) from None
        finally:
            self._follower.let_go()

    def _are_applied(self, records: tuple[Record, ...], digest: str | None) -> bool:
        standings = self._follower.standings(digest)
        return bool(standings) and are_applied(records, standings)

    def _not_applied(self, records: tuple[Record, ...], digest: str | None) -> NotAppliedError:
        standings = self._follower.standings(digest)
        if not standings:
            return NotAppliedError("Nobody knows yet whether that is applied: the projection cannot be read")
        missing = [record for record in records if not are_applied([record], standings)]
        text = ", ".join(_how_far(record, standings) for record in missing)
        error = NotAppliedError(f"Not applied yet: {text}")
        generation = self._follower.generation
        error.freshness, error.generation = self._follower.freshness, generation and generation.number
        return error


def _how_far(record: Record, standings: Iterable[Standing]) -> str:
    position = min(standing.positions.get(record.partition, 0) for standing in standings)
    return f"{record.partition.decode()}:{record.offset}, the next one is {position}"

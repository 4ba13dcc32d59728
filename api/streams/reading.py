"""What a stream reads by itself: the jobs of its query as a snapshot, what changed since, whether all have ended."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Final, NamedTuple

from api.asking.query import Query
from api.asking.seen import Seen
from api.following.follower import why_lost
from api.following.frames import event
from api.following.position import Position, incarnations_of
from api.following.resets import CATCHING_UP, OTHER_GENERATION, OTHER_INCARNATION, UNKNOWN_ID
from api.following.subscriptions import Filter
from api.following.telling import STATUS, array, gone_block, gone_in, item_json, status_item
from api.projection.errors import DamagedJobError
from api.projection.generation import Bucket, Generation
from api.projection.lookup import Changed, Changes, FeedPlace, Row
from api.projection.projection import Projection
from api.projection.reader import Reader
from api.projection.scan import Scan
from schemas.expiry import is_expired
from schemas.identity import JobIdentity
from schemas.job_status import STAGE_REGISTERS, View
from schemas.stored_job import identity_in

# So much of a snapshot is in memory at once, and in one event.
PART_BYTES: Final = 64 * 1024
FIRST_JOBS: Final = 25
CALL_JOBS: Final = 100
ENTRIES_AT_ONCE: Final = 500
# So many streams read a snapshot, or what changed, at a time: after a restart all clients want theirs at once.
SNAPSHOTS_AT_ONCE: Final = 32


class ResetError(Exception):
    """The stream has to begin again with a snapshot; the reason is one of `following.resets`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Part(NamedTuple):
    """A part of a snapshot as its block, and whether it is the last one."""

    block: bytes
    is_last: bool


class Ended(NamedTuple):
    """That all jobs of a query have finished, how many, and by bucket up to which entry of its feed that was seen."""

    jobs: int
    generation: Generation
    places: Mapping[int, FeedPlace]


class Reading:
    """Reads for streams."""

    def __init__(self, projection: Projection, reader: Reader) -> None:
        self._projection = projection
        self._reader = reader
        self._turns = asyncio.Semaphore(SNAPSHOTS_AT_ONCE)

    async def scan(self, query: Query) -> Scan:
        """Return a scan of the query's jobs that has its first rows; UnavailableError."""
        async with self._turns:
            return await self._projection.scan(query.search, FIRST_JOBS)

    async def snapshot(self, scan: Scan, view: View) -> AsyncGenerator[Part, None]:
        """Yield the jobs of a scan: as one array, or in parts when there are many; UnavailableError."""
        seen, number = Seen(), 0
        while True:
            items = await self._items(scan, seen, view)
            number += 1
            if not (items or scan.is_whole) and number == 1:
                raise DamagedJobError
            if number == 1 and scan.is_done:
                yield Part(b"event: snapshot\ndata: %b\n\n" % array(items), is_last=True)
                return
            last = b"true" if scan.is_done else b"false"
            yield Part(
                b'event: snapshot\ndata: {"part":%d,"last":%b,"jobs":%b}\n\n' % (number, last, array(items)),
                is_last=scan.is_done,
            )
            if scan.is_done:
                return

    async def _items(self, scan: Scan, seen: Seen, view: View) -> list[bytes]:
        """Return the next items of a snapshot, as many as make a part."""
        items: list[bytes] = []
        size = 0
        while True:
            found = [item_json(row, identity_in(row), view) for row in seen.new(scan.take_rows())]
            items += found
            size += sum(map(len, found))
            if scan.is_done or size >= PART_BYTES:
                return items
            async with self._turns:
                await scan.fill(CALL_JOBS)

    async def changes(
        self, generation: Generation, bucket: Bucket, query: Query, view: View, after: FeedPlace
    ) -> AsyncGenerator[bytes | FeedPlace, None]:
        """Yield blocks of what changed of a query in a bucket after an entry, then the entry up to which that is all.

        ResetError when nobody knows; UnavailableError.
        """
        wanted, known = filter_of(query), 0
        while True:
            asked = Changes(query.search.indexes, ENTRIES_AT_ONCE, after, known)
            answer = await self._looked_at(bucket, asked)
            if answer.is_lost:
                raise ResetError(why_lost(after, answer.feed))
            if answer.is_everything:
                raise ResetError(CATCHING_UP)
            blocks = [gone_block(job) for job in gone_in(answer.gone) if matches(wanted, job)]
            blocks += [
                event(STATUS, status_item(row, identity_in(row), view))
                for row in answer.rows
                if not (generation.cutoff and is_expired(row, generation.cutoff))
            ]
            if blocks:
                yield b"".join(blocks)
            after, known = answer.reached, answer.known
            if answer.is_done:
                yield answer.feed
                return

    async def _looked_at(self, bucket: Bucket, asked: Changes) -> Changed:
        """Return an answer that goes on; who is not looked at, for others took a whole call, keeps its turn."""
        async with self._turns:
            while True:
                answer = await self._reader.ask_changes(bucket, asked)
                if answer.is_done or answer.is_lost or (answer.reached, answer.known) != (asked.after, asked.known):
                    return answer

    async def ended(self, query: Query) -> Ended | None:
        """Return what is known once a query has jobs and all of them have finished, else None; UnavailableError."""
        scan, seen, count = await self.scan(query), Seen(), 0
        while True:
            rows = seen.new(scan.take_rows())
            if not all(map(has_finished, rows)):
                return None
            count += len(rows)
            if scan.is_done:
                return Ended(count, scan.generation, scan.last_feeds) if count and scan.is_whole else None
            await scan.fill(CALL_JOBS)


def check_start(position: Position, generation: Generation, buckets: int) -> None:
    """Raise ResetError unless a stream of so many buckets can go on from a position in this generation."""
    if position.generation != generation.number:
        raise ResetError(OTHER_GENERATION)
    if position.incarnations != incarnations_of(generation):
        raise ResetError(OTHER_INCARNATION)
    if len(position.places) != buckets:
        raise ResetError(UNKNOWN_ID)


def filter_of(query: Query) -> Filter:
    """Return what the jobs of a query have in common."""
    return Filter(query.owner, query.agreement_id, query.job_id)


def matches(wanted: Filter, job: JobIdentity) -> bool:
    """Tell whether a job is one of a query."""
    return all(it in (None, its) for it, its in zip(wanted, job, strict=False))


def has_finished(row: Row) -> bool:
    """Tell whether a job has reached its last stage."""
    stages: Sequence[bytes | None] = row[STAGE_REGISTERS]
    return stages[-1] is not None

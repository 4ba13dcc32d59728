"""Lists of jobs: from rows to the JSON array, one page, one buffered answer, or a stream."""

import asyncio
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import orjson
from multidict import istr

from api.asking.seen import Seen
from api.exchange import Pieces, Room
from api.projection.errors import StoreUnavailableError
from api.projection.lookup import Place, Row, place_of
from api.projection.scan import Scan
from schemas.lifecycle import FINISHED

# What is held in memory of an answer: this many jobs, or the jobs that make as many bytes as there is room for.
CHUNK_JOBS: Final = 1000
# What is asked for at first, which is all for most, and then at most at a time, for others wait meanwhile.
FIRST_JOBS: Final = 25
CALL_JOBS: Final = 100
# What a job takes as JSON when nothing is known of it yet.
TYPICAL_JOB_BYTES: Final = 400
# A page ends after the call to Redis that brought it so many bytes (a call brings about 256 KiB, see `buckets.py`), and
# when it has searched for so long.
PAGE_BYTES: Final = 4 * 1024 * 1024
PAGE_SEARCH_SECONDS: Final = 0.5
# When Redis has been waited for this long, what was read is sent: a list begins, and a page ends.
SENT_AFTER_SECONDS: Final = 0.5
# How long a stream waits for a Redis that does not answer before it is cut.
PATIENCE_SECONDS: Final = 5.0
PATIENCE_PAUSE_SECONDS: Final = 0.1

# When it pays to ask again about a job that is still on its way.
RETRY_AFTER: Final = istr("Retry-After")
UNFINISHED_RETRY_SECONDS: Final = 1

_FINISHED: Final = FINISHED.code
Item = dict[str, Any]
Render = Callable[[Row], Item | None]


class Listed(NamedTuple):
    """An array of jobs, whole or in pieces.

    `has_unfinished` tells whether it pays to ask again: one of them is unfinished, there is none yet, or nobody knows
    so far; `next` is the place that the next page goes on after, None where there is no other; `met` is the limit at
    which a page ended early.
    """

    body: bytes | Pieces
    has_unfinished: bool
    next: Place | None
    met: str | None = None


class Chunk:
    """The JSON of some jobs, without the array's brackets."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.jobs = 0
        self.bytes = 0
        self.has_unfinished = False

    def is_full(self, room: Room) -> bool:
        """Whether it holds as much as is to be held in memory."""
        return self.jobs >= CHUNK_JOBS or self.bytes >= room.share()

    @property
    def job_bytes(self) -> int:
        """How many bytes a job takes, about."""
        return self.bytes // self.jobs if self.jobs else TYPICAL_JOB_BYTES

    def add(self, items: list[Item]) -> None:
        """Add jobs."""
        if items:
            piece = orjson.dumps(items)[1:-1]
            self._pieces.append(piece)
            self.jobs += len(items)
            self.bytes += len(piece)
            self.has_unfinished |= any([item["status"] != _FINISHED for item in items])  # noqa: C419 - faster

    def json(self) -> bytes:
        """Return the jobs, with commas between them."""
        return b",".join(self._pieces)

    def array(self) -> bytes:
        """Return the jobs as an array; it is all that is held of them."""
        pieces, self._pieces = self._pieces, []
        if not pieces:
            return b"[]"
        pieces[0] = b"[" + pieces[0]
        pieces[-1] += b"]"
        return b",".join(pieces)


def first_wanted(limit: int | None, room: Room) -> int:
    """Return how many jobs to ask for at first; one job more than a page holds tells whether there is another."""
    return min(_wanted(room, TYPICAL_JOB_BYTES) if limit is None else limit + 1, FIRST_JOBS)


def _wanted(room: Room, job_bytes: int) -> int:
    """Return how many jobs of that size there is room for."""
    return min(max(room.share() // max(job_bytes, 1), 1), CALL_JOBS)


async def read_page(scan: Scan, limit: int, render: Render, room: Room) -> Listed:
    """Return a page: `limit` jobs, or fewer when these are large or long to search for."""
    chunk, seen, last = Chunk(), Seen(), None
    loop = asyncio.get_running_loop()
    search_until = loop.time() + PAGE_SEARCH_SECONDS
    while True:
        shown = [(item, row) for row in seen.new(scan.take_rows()) if (item := render(row)) is not None]
        taken = shown[: limit - chunk.jobs]
        chunk.add([item for item, _ in taken])
        if taken:
            last = place_of(taken[-1][1])
        if len(shown) > len(taken):
            return Listed(chunk.array(), chunk.has_unfinished, last)
        room.hold(chunk.bytes)
        if scan.is_done:
            return Listed(chunk.array(), chunk.has_unfinished or not chunk.jobs, None)
        if chunk.bytes >= PAGE_BYTES:
            return Listed(chunk.array(), chunk.has_unfinished, last, "page bytes")
        if chunk.jobs and scan.waited_seconds > SENT_AFTER_SECONDS:
            return Listed(chunk.array(), chunk.has_unfinished, last, "page wait")
        if scan.is_searching and loop.time() > search_until and (reached := scan.reached):
            return Listed(chunk.array(), chunk.has_unfinished, reached, "page search")
        await _fill(scan, room, min(limit + 1 - chunk.jobs, CALL_JOBS))


async def read_list(scan: Scan, render: Render, room: Room) -> Listed:
    """Return every match: whole when it fits into a chunk, else as a stream, which begins once that is known.

    That more is left is told by an index, of which some may have expired: then the stream is shorter than a chunk.
    """
    chunk, seen = Chunk(), Seen()
    while True:
        _add_rows(chunk, scan, seen, render)
        room.hold(chunk.bytes)
        if scan.is_done:
            return Listed(chunk.array(), chunk.has_unfinished or not chunk.jobs, None)
        is_long = chunk.jobs + scan.left > CHUNK_JOBS or scan.waited_seconds > SENT_AFTER_SECONDS
        if chunk.is_full(room) or (chunk.jobs and is_long):
            stream = _stream(b"[" + chunk.json(), chunk.job_bytes, _Rest(scan, seen, render, room))
            return Listed(stream, has_unfinished=True, next=None)
        await _fill(scan, room, min(CHUNK_JOBS - chunk.jobs, _wanted(room, chunk.job_bytes)))


class _Rest(NamedTuple):
    """What is left of a list that is streamed."""

    scan: Scan
    seen: Seen
    render: Render
    room: Room


def _add_rows(chunk: Chunk, scan: Scan, seen: Seen, render: Render) -> None:
    chunk.add([item for row in seen.new(scan.take_rows()) if (item := render(row)) is not None])


async def _stream(first: bytes, job_bytes: int, rest: _Rest) -> Pieces:
    """Yield the array piece by piece: what was read already, then the rest."""
    yield first
    del first
    scan, seen, render, room = rest
    while not scan.is_done:
        await _fill_patiently(scan, room, _wanted(room, job_bytes))
        chunk = Chunk()
        _add_rows(chunk, scan, seen, render)
        if chunk.jobs:
            job_bytes = chunk.job_bytes
            yield b"," + chunk.json()
    yield b"]"


async def _fill_patiently(scan: Scan, room: Room, count: int) -> None:
    """Fill a scan; who has waited for a long answer this long also waits until Redis was restarted."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE_SECONDS
    while True:
        try:
            return await _fill(scan, room, count)
        except StoreUnavailableError:
            if loop.time() > deadline:
                raise
            await asyncio.sleep(PATIENCE_PAUSE_SECONDS)


async def _fill(scan: Scan, room: Room, count: int) -> None:
    """Fill a scan when it is its turn: one that searches waits for others that do, and not in the way of the rest."""
    if scan.is_searching:
        await scan.fill(count)
        return
    async with room.turn():
        await scan.fill(count)

"""Joining: what a stream reads by itself, and tells, before the follower's blocks are enough (see `session`)."""

from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol

from api.asking.query import Query
from api.following.follower import Follower
from api.following.frames import event, with_id
from api.following.position import NOWHERE, Position, encode_id, incarnations_of
from api.following.subscriptions import Kind
from api.projection.errors import UnavailableError
from api.projection.generation import Generation
from api.projection.lookup import FeedPlace
from api.stream_metrics import StreamMetrics
from api.streams.reading import Reading, check_start

# A round may have been under way for others who are gone, and the next one may fail.
ROUNDS: Final = 3
# By bucket, an entry of its feed.
Places = Mapping[int, FeedPlace]
# The same, less and less of it.
JoinedAt = dict[int, FeedPlace]


class Start(NamedTuple):
    """How a stream begins: after a position, now, or with a snapshot, which a reset stands before if there is one."""

    position: Position | None = None
    is_from_now: bool = False
    reset: str | None = None


class Client(Protocol):
    """Who is told."""

    def send(self, blocks: bytes) -> None:
        """Send blocks."""

    async def taken(self) -> None:
        """Wait until the most of what was sent is taken; OverError when the stream is over."""


class Joining:
    """Reads and tells what a stream of one query begins with."""

    def __init__(self, follower: Follower, reading: Reading, metrics: StreamMetrics, query: Query, kind: Kind) -> None:
        self._follower = follower
        self._reading = reading
        self._metrics = metrics
        self._query = query
        self._kind = kind
        # Whether the client has a part of a snapshot, and waits for the rest.
        self.is_told_in_part = False

    async def followed(self) -> Generation:
        """Return the generation that is followed, once it is; UnavailableError when it is not after some rounds."""
        for _ in range(ROUNDS):
            if (generation := self._follower.generation) is not None:
                return generation
            await self._follower.moved()
        raise UnavailableError

    async def read(self, client: Client, generation: Generation, start: Start) -> Places:
        """Tell the client all it has to know; return up to which entries that is all."""
        asked = [bucket.number for bucket in generation.asked(self._kind.digest)]
        if start.is_from_now:
            return dict(zip(asked, self._follower.position(self._kind.digest).places, strict=True))
        if start.position is None:
            firsts, lasts = await self._tell_snapshot(client, generation, start.reset)
        else:
            check_start(start.position, generation, len(asked))
            firsts, lasts = dict(zip(asked, start.position.places, strict=True)), {}
        reached = {}
        for bucket in asked:
            place = firsts[bucket]
            if lasts.get(bucket) != place:
                place = await self.read_on(client, generation, bucket, place)
            reached[bucket] = place
        return reached

    async def _tell_snapshot(self, client: Client, generation: Generation, reset: str | None) -> tuple[Places, Places]:
        """Tell a snapshot; return the last entries when buckets were asked first, and when they were asked last.

        Who is cut before its end has forgotten what came before, or has a part, and must begin again: its id says so.
        """
        scan = await self._reading.scan(self._query)
        if scan.generation.buckets != generation.buckets:
            await self._follower.moved()
            raise UnavailableError
        firsts = scan.first_feeds
        nowhere, complete = encode_id(NOWHERE, self._kind.binding), self.id_of(generation, firsts)
        if reset is not None:
            self._metrics.reset(reset)
            client.send(with_id(event("reset", {"reason": reset}), nowhere))
        async for part in self._reading.snapshot(scan, self._kind.view):
            client.send(with_id(part.block, complete if part.is_last else nowhere))
            self.is_told_in_part = not part.is_last
            await client.taken()
        return firsts, scan.last_feeds

    async def read_on(self, client: Client, generation: Generation, bucket: int, after: FeedPlace) -> FeedPlace:
        """Tell what changed in a bucket after an entry; return the entry up to which that is all."""
        reached = after
        changes = self._reading.changes(generation, generation.buckets[bucket], self._query, self._kind.view, after)
        async for it in changes:
            if isinstance(it, bytes):
                client.send(it)
                await client.taken()
            else:
                reached = it
        return reached

    def id_of(self, generation: Generation, places: Places) -> str:
        """Return the id of entries in the buckets of a generation."""
        position = Position(generation.number, incarnations_of(generation), tuple(places.values()))
        return encode_id(position, self._kind.binding)

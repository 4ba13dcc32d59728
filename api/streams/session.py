"""One client's stream.

States: joining -> live -> joining again (a reset: nobody knows what changed) -> ... -> over (end, bye, or it has left).

Joining, so that nothing is missed and nothing goes back. The stream is a subscriber before it reads anything, and what
the follower tells meanwhile is kept. It reads its snapshot, or goes on from an id; and where that began at an id, or
took more than one call to a bucket, it reads what changed in the feed since, until there is no more. Each row of that
was read after the rows before it, and the last call tells the last entry of the feed at that moment, T. What the
follower told out of a call that knew less than T is passed over: it is no newer than what was read. What it told out of
later ones is at least as new, and is sent. From then on the blocks of the follower go to the client at once.
"""

import asyncio
from typing import Final

from api.asking.freshness import iso
from api.asking.query import Query
from api.exchange import NoRoomError, Outlet, Room
from api.following.follower import Follower
from api.following.frames import RETRY, bookmark, comment, event, with_id
from api.following.position import encode_id
from api.following.resets import INTERRUPTED
from api.following.subscriptions import Kind, Told
from api.projection.errors import UnavailableError
from api.projection.generation import Generation
from api.projection.lookup import NO_ENTRY
from api.stream_metrics import StreamMetrics
from api.streams.endings import END, EXPIRED, LEFT, LIMIT, SLOW, OverError
from api.streams.joining import JoinedAt, Joining, Places, Start
from api.streams.reading import Ended, Reading, ResetError

# A client hears something this often, whatever happens: proxies cut who is silent.
BOOKMARK_SECONDS: Final = 10.0
# What may be waiting for a client that reads slowly; beyond it the client is cut, and goes on with its last id.
QUEUE_BYTES: Final = 64 * 1024
# How long a client may take for a part of its snapshot.
SLOW_SECONDS: Final = 30.0
# How long to wait before a failed read is tried again, and how long it has to fail until that is told.
AGAIN_SECONDS: Final = 0.25
UNREADABLE_SECONDS: Final = 1.0
# How long an end may wait for the follower before the client is told something else.
TOLD_SECONDS: Final = 2.0


class Session:
    """One client's stream, from its first block to its last."""

    def __init__(
        self, follower: Follower, reading: Reading, metrics: StreamMetrics, *, query: Query, kind: Kind, start: Start
    ) -> None:
        self._follower = follower
        self._reading = reading
        self._metrics = metrics
        self._query = query
        self._kind = kind
        self._joining = Joining(follower, reading, metrics, query, kind)
        self._start = start
        self._outlet: Outlet | None = None
        self._room: Room
        self._is_live = False
        self._is_over = False
        self._must_join = True
        # What was told meanwhile, unless that was too much to be kept.
        self._pending: list[Told] = []
        self._has_missed = False
        self._joined: JoinedAt = {}
        # Whether all jobs may have ended, and whether one was told since that was looked at that has not.
        self._may_have_ended = False
        self._is_open = False
        self._told_stale = False
        self._failing_since: float | None = None
        self._woken = asyncio.Event()

    async def run(self, outlet: Outlet, room: Room, seconds: float) -> None:
        """Tell the client what happens, for so long at most."""
        self._outlet, self._room = outlet, room
        self.send(RETRY)
        self._follower.want()
        self._kind = self._follower.subscriptions.add(self._kind, self)
        expiring = asyncio.get_running_loop().call_later(seconds, self.bye, EXPIRED)
        try:
            while not self._is_over:
                await self._go_on()
        finally:
            expiring.cancel()
            self.leave()
            self._follower.subscriptions.remove(self._kind, self)
            self._follower.let_go()

    async def _go_on(self) -> None:
        """Join when that is due, else say what is to be said by itself, and wait for more."""
        try:
            if self._must_join:
                await self._join()
            if self._may_have_ended and self._is_live:
                await self._end_if_all_have()
            self._failing_since = None
        except ResetError as error:
            self.reset(error.reason)
            return
        except UnavailableError:
            await self._wait_for_store()
            return
        except OverError:
            return
        if not self._must_join:
            is_time = not await self._woken_within(BOOKMARK_SECONDS)
            if is_time and self._is_live:
                self.send(self._bookmark())

    # What the follower, and whoever ends streams, say.

    def offer(self, told: Told) -> None:
        """Take blocks that go to all of the kind."""
        if self._is_over:
            return
        if not self._is_live:
            self._pending.append(told)
            if sum(len(it.blocks) for it in self._pending) > QUEUE_BYTES:
                self._pending, self._has_missed = [], True
        elif not self._knows(told):
            self._joined.pop(told.bucket, None)
            self._tell(told)

    def reset(self, reason: str) -> None:
        """Begin again with a snapshot; the first reason is told, if it was not yet."""
        self._is_live, self._must_join, self._start = False, True, Start(reset=self._start.reset or reason)
        self._woken.set()

    def health_changed(self) -> None:
        """Tell the client when what it sees became stale, or fresh again."""
        if self._is_live:
            self._tell_health(is_stale=self._follower.health.is_stale)

    def bye(self, reason: str) -> None:
        """End the stream; the client is to come again, with its last id."""
        if not self._is_over:
            self._write(event("bye", {"reason": reason}))
            self._end(reason)

    def leave(self) -> None:
        """End it: the client is gone."""
        if not self._is_over:
            self._end(LEFT)

    def _end(self, reason: str) -> None:
        self._is_over, self._is_live, self._pending = True, False, []
        self._metrics.ended(reason)
        self._woken.set()

    # Joining.

    async def _join(self) -> None:
        """Become live, or raise why not: ResetError or UnavailableError."""
        self._must_join, self._pending, self._has_missed = False, [], False
        try:
            generation = await self._joining.followed()
            reached = await self._joining.read(self, generation, self._start)
            while self._has_missed:
                self._pending, self._has_missed = [], False
                reached = {
                    it: await self._joining.read_on(self, generation, it, place) for it, place in reached.items()
                }
        except BaseException:
            self._must_join = True
            if self._joining.is_told_in_part:
                self.reset(INTERRUPTED)
            raise
        if self._must_join or self._is_over:
            return
        self._become_live(generation, reached)
        self._may_have_ended = self._kind.filter.job_id is not None

    async def taken(self) -> None:
        """Wait until the client has taken the most of what it was sent; one that takes nothing is cut."""
        if self._outlet is not None:
            try:
                self._room.hold(self._outlet.unsent_bytes)
                async with asyncio.timeout(SLOW_SECONDS):
                    await self._outlet.taken()
                self._room.hold(0)
            except TimeoutError:
                self.bye(SLOW)
            except NoRoomError:
                self.bye(LIMIT)
        if self._is_over:
            raise OverError

    def _become_live(self, generation: Generation, reached: Places) -> None:
        pending, self._pending, self._joined = self._pending, [], dict(reached)
        self._is_live, self._start = True, Start()
        self.send(bookmark(self._joining.id_of(generation, reached), self._follower.freshness.lag))
        self._tell_health(is_stale=self._follower.health.is_stale)
        for told in pending:
            self.offer(told)

    def _knows(self, told: Told) -> bool:
        """Whether the client has what is told, or newer, from what was read when it joined."""
        joined = self._joined.get(told.bucket)
        return joined is not None and told.feed[:2] < joined[:2]

    # Being live.

    async def _woken_within(self, seconds: float) -> bool:
        """Return True when there is something to do, False when there was nothing for so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return False
        self._woken.clear()
        return True

    async def _wait_for_store(self) -> None:
        """Wait for a store that cannot be read, and tell the client when that lasts."""
        now = asyncio.get_running_loop().time()
        if self._failing_since is None:
            self._failing_since = now
        if self._follower.health.is_stale or now - self._failing_since >= UNREADABLE_SECONDS:
            self._tell_health(is_stale=True)
        if now - self._failing_since >= BOOKMARK_SECONDS:
            self._failing_since = now
            self.send(comment("Projection-Lag: unknown"))
        await self._woken_within(AGAIN_SECONDS)

    async def _end_if_all_have(self) -> None:
        """End the stream when all jobs of a query that names one have finished, and the client was told so."""
        self._may_have_ended = self._is_open = False
        try:
            ended = await self._reading.ended(self._query)
        except UnavailableError:
            self._may_have_ended = True
            raise
        if ended is None or not await self._is_told_of(ended):
            return
        # What has finished since is not in the number, so it is counted anew.
        if self._is_live and not self._is_open and not self._may_have_ended:
            text = encode_id(self._follower.position(self._kind.digest), self._kind.binding, has_ended=True)
            self.send(with_id(event("end", {"jobs": ended.jobs}), text))
            self._end(END)

    async def _is_told_of(self, ended: Ended) -> bool:
        """Wait until the client was told what has been read of the end, which the follower may not have seen yet.

        Not for long, for the client is to hear something meanwhile: then it is looked at again later.
        """
        try:
            async with asyncio.timeout(TOLD_SECONDS):
                while self._is_live and not self._has_told(ended):
                    await self._follower.moved()
        except TimeoutError:
            self._may_have_ended = True
        return self._is_live and self._has_told(ended)

    def _has_told(self, ended: Ended) -> bool:
        """Whether what was read when the client joined, or told since, reaches as far as what was read of the end."""
        generation = self._follower.generation
        if generation is None or generation.buckets != ended.generation.buckets:
            return False
        asked = [bucket.number for bucket in generation.asked(self._kind.digest)]
        told = zip(asked, self._follower.position(self._kind.digest).places, strict=True)
        return all(
            max(place[:2], self._joined.get(bucket, NO_ENTRY)[:2]) >= ended.places[bucket][:2] for bucket, place in told
        )

    def _tell(self, told: Told) -> None:
        self.send(told.blocks)
        self._metrics.told(told.jobs)
        self._is_open |= told.is_open
        if told.is_final and self._kind.filter.job_id is not None:
            self._may_have_ended = True
            self._woken.set()

    def _tell_health(self, *, is_stale: bool) -> None:
        if is_stale == self._told_stale:
            return
        self._told_stale = is_stale
        health = self._follower.health
        since = None if health.since is None else iso(health.since)
        self.send(event("stale", {"lag": health.lag, "since": since}) if is_stale else event("fresh", {}))

    def _bookmark(self) -> bytes:
        text = encode_id(self._follower.position(self._kind.digest), self._kind.binding)
        return bookmark(text, self._follower.freshness.lag)

    def send(self, blocks: bytes) -> None:
        """Send to the client, unless too much is waiting for it already."""
        if self._is_over or self._outlet is None:
            return
        if self._outlet.unsent_bytes > QUEUE_BYTES:
            self.bye(SLOW)
        else:
            self._write(blocks)

    def _write(self, blocks: bytes) -> None:
        if self._outlet is not None:
            self._outlet.send(blocks)

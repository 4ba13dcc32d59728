"""Heartbeats: how far the log went and when that was known, kept beside the positions."""

import math
from collections.abc import Sequence

from projector.store.buckets import Buckets, Offsets
from projector.store.calls import Script, check, understood
from schemas.redis_layout import FLOOR, HEARTBEATS, META, POSITIONS, UNKNOWN_END, number_in
from service.redis import AnyRedis


class Heartbeats:
    """The heartbeats of a generation, in each of its buckets."""

    def __init__(self, redis: AnyRedis, buckets: Buckets) -> None:
        self._buckets = buckets
        self._clock, self._beat = (Script(redis, name) for name in ("clock", "heartbeat"))

    async def clocks(self) -> tuple[str, ...]:
        """Return the time of each bucket's server."""
        times = [await self._clock(self._buckets.keys(bucket, META)) for bucket in self._buckets.numbers]
        return tuple(time.decode() for time in times)

    async def beat(self, log_ends: Offsets, asked_at: Sequence[str]) -> dict[str, tuple[int, ...]]:
        """Record how far the log went, also as the floor where that was unknown; return where each partition stands.

        In each bucket, that is. `asked_at` has what `clocks` returned before the log was asked for its ends.
        """
        arguments = [item for name, end in log_ends.items() for item in (name, str(end))]
        answers = []
        for bucket in self._buckets.numbers:
            known = [self._buckets.pointer.incarnations[bucket], asked_at[bucket], FLOOR, str(UNKNOWN_END)]
            answer = await self._beat(self._buckets.keys(bucket, META, POSITIONS, HEARTBEATS), [*known, *arguments])
            check(answer)
            with understood():
                answers.append([number_in(position) for position in answer[1:]])
        return dict(zip(log_ends, zip(*answers, strict=True), strict=True))

    async def age_seconds(self) -> float:
        """Return how long ago, by Redis' clock, anybody last confirmed a partition; infinite when nobody ever did."""
        stored = await self._buckets.read(0, HEARTBEATS)
        with understood():
            asked_at = [number_in(heartbeat.partition(b" ")[0]) for heartbeat in stored.values()]
            newest = max(asked_at, default=-math.inf)
        return (int((await self.clocks())[0]) - newest) / 1000

"""Heartbeats: how far the log went and when that was known, kept beside the positions."""

import math
from collections.abc import Sequence
from typing import Final

from projector.store.buckets import Buckets, Offsets
from projector.store.calls import Script, check, understood
from schemas.redis_layout import HEARTBEATS, META, POSITIONS, number_in
from service.redis import AnyRedis

PARTITIONS_PER_CALL: Final = 1_000


class Heartbeats:
    """The heartbeats of a generation, in each of its buckets."""

    def __init__(self, redis: AnyRedis, buckets: Buckets) -> None:
        self._buckets = buckets
        self._clock, self._beat = (Script(redis, name) for name in ("clock", "heartbeat"))

    async def clocks(self) -> tuple[str, ...]:
        """Return the time of each bucket's server."""
        times: list[bytes] = await self._buckets.each(lambda bucket: self._clock(self._buckets.keys(bucket, META)))
        return tuple(time.decode() for time in times)

    async def beat(self, log_ends: Offsets, asked_at: Sequence[str]) -> dict[str, tuple[int, ...]]:
        """Record how far the log went; return where each partition stands in each bucket.

        `asked_at` has what `clocks` returned before the log was asked for its ends.
        """
        items = list(log_ends.items())

        async def beat(bucket: int) -> list[int]:
            known = [self._buckets.pointer.incarnations[bucket], asked_at[bucket]]
            positions: list[int] = []
            for first in range(0, len(items), PARTITIONS_PER_CALL):
                some = items[first : first + PARTITIONS_PER_CALL]
                arguments = [item for name, end in some for item in (name, str(end))]
                answer = await self._beat(self._buckets.keys(bucket, META, POSITIONS, HEARTBEATS), [*known, *arguments])
                check(answer)
                with understood():
                    positions += [number_in(position) for position in answer[1:]]
            return positions

        answers = await self._buckets.each(beat)
        return dict(zip(log_ends, zip(*answers, strict=True), strict=True))

    async def age_seconds(self) -> float:
        """Return how long ago, by Redis' clock, anybody last confirmed a partition; infinite when nobody ever did."""
        stored = await self._buckets.read(0, HEARTBEATS)
        with understood():
            asked_at = [number_in(heartbeat.partition(b" ")[0]) for heartbeat in stored.values()]
            newest = max(asked_at, default=-math.inf)
        return (int((await self.clocks())[0]) - newest) / 1000

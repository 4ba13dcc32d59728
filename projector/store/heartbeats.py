"""Heartbeats: how far the log went, when that was known, and why a partition is held, kept beside the positions."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

from projector.store.buckets import Buckets
from projector.store.calls import Script, check, understood
from schemas.redis_layout import FLOOR, HEARTBEATS, META, POSITIONS, UNKNOWN_END, Heartbeat, number_in
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

    async def beat(self, seen: Mapping[str, int | str], asked_at: Sequence[str]) -> dict[str, tuple[int, ...]]:
        """Record what was seen of partitions, by name; return where each stands in each bucket.

        That is a log end, or what `log_seen` returns; an end becomes the floor where that was unknown. `asked_at` has
        what `clocks` returned before the log was asked.
        """
        items = list(seen.items())

        async def beat(bucket: int) -> list[int]:
            known = [self._buckets.pointer.incarnations[bucket], asked_at[bucket], FLOOR, str(UNKNOWN_END)]
            positions: list[int] = []
            for first in range(0, len(items), PARTITIONS_PER_CALL):
                some = items[first : first + PARTITIONS_PER_CALL]
                arguments = [item for name, what in some for item in (name, str(what))]
                answer = await self._beat(self._buckets.keys(bucket, META, POSITIONS, HEARTBEATS), [*known, *arguments])
                check(answer)
                with understood():
                    positions += [number_in(position) for position in answer[1:]]
            return positions

        answers = await self._buckets.each(beat)
        return dict(zip(seen, zip(*answers, strict=True), strict=True))

    async def read(self, bucket: int) -> dict[str, Heartbeat]:
        """Return the heartbeats that a bucket has, by partition."""
        stored = await self._buckets.read(bucket, HEARTBEATS)
        with understood():
            return {name.decode(): Heartbeat.of(value) for name, value in stored.items()}

    async def age_seconds(self) -> float:
        """Return how long ago, by Redis' clock, anybody last confirmed a partition; infinite when nobody ever did."""
        newest = max((heartbeat.milliseconds for heartbeat in (await self.read(0)).values()), default=-math.inf)
        return (int((await self.clocks())[0]) - newest) / 1000

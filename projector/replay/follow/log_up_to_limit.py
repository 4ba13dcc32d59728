"""The log up to a limit: given partitions, read no further than the live generation has applied.

So every bad record that is met has its dead letter already, and what is filled never goes beyond what it replaces.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final

from aiokafka import TopicPartition

from projector.fold.batch import MAX_POLL_RECORDS
from projector.fold.record import RefusedRecord
from projector.log.consumer import Log
from projector.log.reader import Polled, Read
from projector.replay.follow.filled_generation import FAR_EVENTS, WINDOW

# With a rate, batches are small and many, so that none keeps Redis from others for long.
_BATCHES_PER_SECOND: Final = 100
_SMALLEST_BATCH: Final = 20
_offset = attrgetter("offset")


class LogUpToLimit(Log):
    """Some partitions of the topic, each readable up to a limit that is raised from time to time."""

    def __init__(
        self, topic: str, partitions: Collection[int], client_options: Mapping[str, Any], rate: float | None
    ) -> None:
        super().__init__(topic, None, client_options)
        self._limits = {TopicPartition(topic, number): 0 for number in partitions}
        self._places: dict[TopicPartition, int] = {}  # where each is read next
        self._paused: set[TopicPartition] = set()
        self._rate = rate
        self._free_at = 0.0
        self._poll_records, self._poll_bytes = WINDOW.records, WINDOW.size_bytes
        if rate:
            self._poll_records = max(_SMALLEST_BATCH, min(MAX_POLL_RECORDS, int(rate / _BATCHES_PER_SECOND)))

    async def join(self) -> None:
        """Take the partitions."""
        self._consumer.assign(list(self._limits))

    def allow(self, limits: Mapping[TopicPartition, int]) -> None:
        """Let each partition be read below its limit."""
        for item, limit in limits.items():
            if limit > self._limits[item]:
                self._limits[item] = limit
                if item in self._paused:
                    self._paused.remove(item)
                    self.resume(item)

    async def poll(self) -> Polled:
        """Return records below the limits, no faster than allowed."""
        await asyncio.sleep(self._free_at - asyncio.get_running_loop().time() if self._rate else 0)
        polled = {item: self._cut(item, read) for item, read in (await super().poll()).items()}
        if self._rate:
            now = asyncio.get_running_loop().time()
            self._free_at = max(self._free_at, now) + sum(len(read.records) for read in polled.values()) / self._rate
        return polled

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read from this offset on."""
        self._places[partition] = offset
        super().seek(partition, offset)

    def _cut(self, item: TopicPartition, read: Read) -> Read:
        """Return what is below the limit, or what is far below it when there is such."""
        limit = self._limits[item]
        # A fetch that failed does not tell where.
        place = self._places.get(item, 0)
        position = place if read.error else read.position
        if place < (far := limit - FAR_EVENTS) < position:  # what is far is folded in larger batches
            self.seek(item, far)
            return _below(read, far)
        if position >= limit:
            self._wait_at(item, limit)
            return _below(read, limit)
        self._places[item] = position
        return read

    def _wait_at(self, item: TopicPartition, limit: int) -> None:
        self.seek(item, limit)
        self.pause(item)
        self._paused.add(item)


def _below(read: Read, end: int) -> Read:
    """Return what was read below an offset; what is wrong there or beyond is nothing to us."""
    return Read(read.records[: bisect_left(read.records, end, key=_offset)], end, start=read.start)


class KnownLetters:
    """Where letters go that the live generation has written already: nowhere."""

    def is_back(self) -> bool:
        """Nothing fails here."""
        return True

    async def stop(self) -> None:
        """Nothing is open here."""

    async def deliver(self, refused: Sequence[RefusedRecord]) -> None:
        """Leave them: the log has them."""

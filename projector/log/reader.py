"""Taking turns: of what aiokafka has fetched each partition gives an equal share, within one budget for all."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import FetchResult

from projector.fold.record import Record, value_bytes
from projector.log.codecs import Expansion
from projector.log.reading import KeptRecords, Reading

# What is fetched ahead of all partitions together, as it is in the log; each has its share of it, within these bounds.
PREFETCH_BYTES: Final = 32 * 1024 * 1024
SMALLEST_SHARE_BYTES: Final = 4 * 1024
LARGEST_SHARE_BYTES: Final = 2 * 1024 * 1024
# What one poll takes, as it is when expanded; a record more than that when it is a large one.
POLL_BYTES: Final = 4 * 1024 * 1024


class Read(NamedTuple):
    """What a poll gives of a partition: records, the offset behind them that is read next, or why it cannot be read.

    `start` is the offset from which it was read.
    """

    records: Sequence[Record]
    position: int
    error: Exception | None = None
    start: int = 0


Polled = Mapping[TopicPartition, Read]


class Reader:
    """Reads what a consumer has fetched."""

    def __init__(self, consumer: AIOKafkaConsumer, expansion: Expansion) -> None:
        self._consumer = consumer
        self._expansion = expansion
        self._readings: dict[TopicPartition, tuple[FetchResult, Reading]] = {}
        # Whether the last poll took all that had been fetched.
        self.is_drained = True

    def install(self) -> None:
        """Have aiokafka keep the bytes that it reads from; harmless to other consumers of this process."""
        fetcher.MemoryRecords = KeptRecords

    async def poll(
        self,
        timeout_seconds: float,
        most_records: int,
        only: Collection[TopicPartition] | None = None,
        most_bytes: int = POLL_BYTES,
    ) -> Polled:
        """Return what has arrived, of these partitions alone where some are given; nothing when nothing does in time.

        Raises KafkaError when something is wrong with the membership in the group.
        """
        consumer = self._consumer
        consumer._coordinator.check_errors()  # noqa: SLF001 - this is what `getmany` does
        with consumer._subscription.fetch_context():  # noqa: SLF001
            if not await self._is_assigned(timeout_seconds):
                return {}
            self._share_prefetch()
            polled = await self._arrived(most_records, only, most_bytes)
            if polled or not await self._has_news(timeout_seconds):
                return polled
            return await self._arrived(most_records, only, most_bytes)

    async def _is_assigned(self, timeout_seconds: float) -> bool:
        """Tell whether the group has said which partitions are ours, waiting for that as long as for records."""
        subscription = self._consumer._subscription  # noqa: SLF001
        try:
            async with asyncio.timeout(timeout_seconds):
                if subscription.reassignment_in_progress:
                    await subscription.wait_for_assignment()
        except TimeoutError:
            return False
        return True

    def _share_prefetch(self) -> None:
        share = PREFETCH_BYTES // max(1, len(self._consumer.assignment()))
        share = min(LARGEST_SHARE_BYTES, max(SMALLEST_SHARE_BYTES, share))
        self._consumer._fetcher._max_partition_fetch_bytes = share  # noqa: SLF001 - it cannot be set later otherwise

    async def _has_news(self, timeout_seconds: float) -> bool:
        """Wait for the next fetch; tell whether there was one in time."""
        waiter = self._consumer._fetcher._create_fetch_waiter()  # noqa: SLF001
        try:
            async with asyncio.timeout(timeout_seconds):
                await waiter
        except TimeoutError:
            return False
        return True

    async def _arrived(self, most_records: int, only: Collection[TopicPartition] | None, room_bytes: int) -> Polled:
        """Return what was fetched, in turns: what was fetched first or served last has the first turn."""
        subscription = self._consumer._subscription  # noqa: SLF001
        if subscription.reassignment_in_progress:  # what was fetched before may not be ours
            return {}
        polled = self._failed()
        readings = self._current()
        self._expansion.keep_only(readings)
        if only is not None:
            readings = {item: reading for item, reading in readings.items() if item in only}
        taken: dict[TopicPartition, list[Record]] = {item: [] for item in readings}
        while readings and room_bytes > 0 and most_records > 0:
            turn_records, turn_bytes = max(1, most_records // len(readings)), max(1, room_bytes // len(readings))
            for item, reading in list(readings.items()):
                records = reading.take(turn_records, turn_bytes)
                taken[item] += records
                room_bytes -= value_bytes(records)
                most_records -= len(records)
                if reading.is_over or not records:
                    del readings[item]
                if room_bytes <= 0 or most_records <= 0:
                    break
        return polled | self._given(taken)

    def _failed(self) -> dict[TopicPartition, Read]:
        """Return the fetches that failed."""
        fetched = self._consumer._fetcher._records  # noqa: SLF001
        failed = {item: each for item, each in fetched.items() if not isinstance(each, FetchResult)}
        for item in failed:
            self._drop(item)
        return {item: Read((), 0, each._error) for item, each in failed.items()}  # noqa: SLF001

    def _current(self) -> dict[TopicPartition, Reading]:
        """Return the readings of what was fetched from where its partition stands now."""
        fetched: dict[TopicPartition, Any] = self._consumer._fetcher._records  # noqa: SLF001
        for item, result in list(fetched.items()):
            if not result.check_assignment(item):
                self._drop(item)
            elif item not in self._readings or self._readings[item][0] is not result:
                reading = Reading(item, result._partition_records, self._expansion)  # noqa: SLF001
                self._readings[item] = (result, reading)
        for item in self._readings.keys() - fetched.keys():
            del self._readings[item]
        return {item: self._readings[item][1] for item in fetched}

    def _given(self, taken: Mapping[TopicPartition, list[Record]]) -> dict[TopicPartition, Read]:
        """Return what was taken, and move the consumer's positions behind it."""
        given = {}
        fetched = self._consumer._fetcher._records  # noqa: SLF001
        for item, records in taken.items():
            result, reading = self._readings[item]
            before = result._assignment.state_value(item).position  # noqa: SLF001
            result._update_position()  # noqa: SLF001
            position = result._partition_records.next_fetch_offset  # noqa: SLF001
            error = None if records else reading.error
            if position != before or error:
                given[item] = Read(records, position, error, before)
            if reading.is_over and reading.error is error:
                self._drop(item)
            elif records:
                fetched.move_to_end(item)
        self.is_drained = not fetched
        return given

    def _drop(self, item: TopicPartition) -> None:
        """Have a partition fetched again."""
        consumer = self._consumer
        del consumer._fetcher._records[item]  # noqa: SLF001
        self._readings.pop(item, None)
        consumer._fetcher._notify(consumer._fetcher._wait_consume_future)  # noqa: SLF001

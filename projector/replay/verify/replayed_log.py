"""The log once more: read from its start, by no group, up to exact offsets.

Case 1: a range was passed over by command, perhaps because it cannot be read. It is never asked for.
Case 2: something beyond the wanted offset cannot be read, or expands to too much. What is before it is read as always.
Case 3: the log's beginning goes while it is being read. What is gone is passed and known by `starts`.
"""

import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, NoReturn

from aiokafka import TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from projector.fold.record import Record
from projector.log.consumer import POLL_MILLISECONDS, Log, is_unreadable
from projector.settings import ProjectorSettings
from schemas.redis_layout import partition_name
from service.errors import CommandError, ServiceUnavailableError
from service.kafka import start_client

POLL_SECONDS: Final = POLL_MILLISECONDS / 1000
SILENCE_SECONDS: Final = 30.0  # how long nothing may arrive that must be there
# Short, for a fetch under way for one partition delays the fetch for another.
_FETCH_WAIT_MILLISECONDS: Final = 50

_offset = attrgetter("offset")

# Partition name -> offset.
Offsets = Mapping[str, int]
# Partition name -> ranges of offsets to pass over, as start -> end.
SkippedRanges = Mapping[str, Mapping[int, int]]


@dataclass(slots=True)
class _Reading:
    """One partition: `next` is what is given out next, `read` what is fetched next, `kept` what lies between."""

    item: TopicPartition
    start: int
    next: int = 0
    read: int = 0
    kept: Sequence[Record] = ()

    def take(self, limit: int) -> Sequence[Record]:
        """Return what was fetched below the limit, and move there or as far as was fetched."""
        at = bisect_left(self.kept, limit, key=_offset)
        taken, self.kept = self.kept[:at], self.kept[at:]
        self.next = limit if self.kept else min(limit, self.read)
        return taken


class ReplayedLog(Log):
    """The partitions of the topic, read from their start, as the projector reads them."""

    def __init__(self, settings: ProjectorSettings, begins: Offsets) -> None:
        """`begins` says where the fold began, for partitions where that is not their start."""
        options = {**settings.kafka_client_options(), "fetch_max_wait_ms": _FETCH_WAIT_MILLISECONDS}
        super().__init__(settings.kafka_topic, None, options)
        self.settings = settings
        self.begins = begins
        self.passed: dict[str, int] = {}  # how many offsets were passed over by command
        self._readings: dict[str, _Reading] = {}
        self._known_ends: dict[str, int] = {}

    async def open(self) -> None:
        """Connect, and find the partitions; close by `stop`."""
        await start_client(self, self.settings)
        await self.find_partitions()

    @property
    def next(self) -> dict[str, int]:
        """The next offset of each partition."""
        return {name: reading.next for name, reading in self._readings.items()}

    @property
    def starts(self) -> dict[str, int]:
        """Where each partition of the log begins."""
        return {name: reading.start for name, reading in self._readings.items()}

    @property
    def known_ends(self) -> dict[str, int]:
        """The ends as they were when last asked for."""
        return {name: self._known_ends.get(name, 0) for name in self._readings}

    async def ends_of(self, wanted: Offsets) -> dict[str, int]:
        """Return the end of each of these partitions, asked anew where the wanted offset is beyond it; 0 of none."""
        beyond = {name for name, offset in wanted.items() if offset > self._known_ends.get(name, 0)}
        if beyond - self._readings.keys():
            await self.find_partitions()
        known = {self._readings[name].item: name for name in beyond & self._readings.keys()}
        if known:
            ends = await self._consumer.end_offsets(list(known))
            self._known_ends |= {known[item]: end for item, end in ends.items()}
        return {name: self._known_ends.get(name, 0) for name in wanted}

    async def advance(self, to: Offsets, skipped: SkippedRanges) -> AsyncIterator[tuple[str, Sequence[Record]]]:
        """Yield the records below these offsets, which the log must hold, partition by partition, in their order."""
        silent_since = time.monotonic()
        while True:
            waiting: dict[str, int] = {}
            for name, offset in to.items():
                for records in self._fetched(name, offset, skipped.get(name, {}), waiting):
                    yield name, records
            if not waiting:
                return
            if await self._fetch(waiting):
                silent_since = time.monotonic()
            elif time.monotonic() - silent_since > SILENCE_SECONDS:
                behind = ", ".join(f"{name} at {self._readings[name].read}" for name in waiting)
                raise ServiceUnavailableError(f"Kafka delivers nothing of {behind}: look at its brokers, and try again")

    def _fetched(
        self, name: str, to: int, ranges: Mapping[int, int], waiting: dict[str, int]
    ) -> Iterator[Sequence[Record]]:
        """Yield what was fetched below the offset; note in `waiting` up to where more must be."""
        reading = self._readings[name]
        while reading.next < to:
            end = max((end for start, end in ranges.items() if start <= reading.next < end), default=0)
            limit = min([to, *(start for start in ranges if start > reading.next)])
            if end:
                self.passed[name] = self.passed.get(name, 0) + min(to, end) - reading.next
                self._pass(reading, min(to, end))
            elif reading.next < reading.start:
                self._pass(reading, min(limit, reading.start))
            elif reading.kept or reading.read >= limit:
                if records := reading.take(limit):
                    yield records
            else:
                waiting[name] = limit
                return

    def _pass(self, reading: _Reading, to: int) -> None:
        reading.next = to
        reading.kept = reading.kept[bisect_left(reading.kept, to, key=_offset) :]
        if reading.read < to:
            reading.read = to
            self._consumer.seek(reading.item, to)

    async def _fetch(self, limits: Offsets) -> bool:
        """Fetch what has arrived of these partitions, at least one record if any has; tell whether any came nearer."""
        before = sum(self._readings[name].read for name in limits)
        wanted = {self._readings[name].item: name for name in limits}
        for item, read in (await self._reader.poll(POLL_SECONDS, self._poll_records, wanted)).items():
            if isinstance(read.error, OffsetOutOfRangeError):
                await self.find_partitions()
                break
            if read.error:
                self._refuse(wanted[item], read.error)
            reading = self._readings[wanted[item]]
            reading.kept, reading.read = read.records, read.position
        return sum(self._readings[name].read for name in limits) != before

    def _refuse(self, name: str, error: Exception) -> NoReturn:
        """Raise CommandError for what cannot be read and must be, or what keeps us from reading."""
        if not is_unreadable(error):
            raise error
        raise CommandError(
            f"{name}: the record at {self._readings[name].read} cannot be read ({type(error).__name__}), and the "
            "position is beyond it"
        ) from error

    async def find_partitions(self) -> None:
        """Take every partition there is by now, each where its reading stands or where the log begins by now."""
        metadata = await self._consumer._client.fetch_all_metadata()  # noqa: SLF001 - no public way without subscribing
        topic = self.settings.kafka_topic
        items = [TopicPartition(topic, number) for number in sorted(metadata.partitions_for_topic(topic) or ())]
        self._consumer.assign(items)
        starts = await self._consumer.beginning_offsets(items)
        for item in items:
            name = partition_name(item.topic, item.partition)
            reading = self._readings.setdefault(name, _Reading(item, 0))
            reading.start = max(starts[item], self.begins.get(name, 0))
            reading.read = max(reading.read, reading.start)
        self._seek_all()

    def _seek_all(self) -> None:
        for reading in self._readings.values():
            self._consumer.seek(reading.item, reading.read)

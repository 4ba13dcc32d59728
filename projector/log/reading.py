"""What one fetch brought of a partition, read in turns as large as the reader likes.

aiokafka reads a fetch to its end or raises, and then nothing of it is left. Here the records before something
unreadable are given first, and what ends a reading is kept beside them, so that it costs one partition alone.

Source: `PartitionRecords` of aiokafka 0.14, whose rules for transactions, markers and compacted batches these are.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, count
from typing import Any, Final

import msgspec
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords

from projector.fold.record import Record
from projector.log.codecs import Expansion, NoRoomError
from projector.log.header_names import RecordsOfAnyName
from schemas.decode import USUAL_HEADERS

_USUAL_HEADERS: Final = list(USUAL_HEADERS)


class PolledRecord(msgspec.Struct, gc=False):
    """A record as a poll brings it: what of aiokafka's ConsumerRecord is looked at, made in a fraction of its time."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


class KeptRecords(MemoryRecords):  # type: ignore[misc]
    """The batches of a fetch, with the bytes they are read from."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.content = content


class Reading:
    """The records of a fetch that were not taken yet."""

    def __init__(self, item: TopicPartition, fetched: PartitionRecords, expansion: Expansion) -> None:
        self._item = item
        self._fetched = fetched
        self._expansion = expansion
        # The batch being read, and its records; none of these before it is expanded.
        self._batch: Any = None
        self._records: Iterator[Any] | None = None
        self._batches_read = 0
        self._slow = (count(1), RecordsOfAnyName(fetched._records.content))  # noqa: SLF001 - PartitionRecords has no more
        self.error: Exception | None = None
        self.is_over = False

    def take(self, most_records: int, room_bytes: int) -> list[Record]:
        """Return the next records, so many at most, and no more once their values fill the room.

        What ends the reading early is in `error` afterwards.
        """
        taken: list[Record] = []
        if self.is_over:
            return taken
        self._expansion.begin(self._item)
        try:
            while len(taken) < most_records and room_bytes > 0 and self._is_at_batch():
                room_bytes = self._take(taken, most_records, room_bytes)
        except NoRoomError:  # the batch is tried again by the next turn
            self._records = None
        except Exception as error:  # noqa: BLE001 - a codec or a parser raises what it likes
            self.error = error
            self.is_over = True
        if self.is_over:
            self._batch = self._records = None
            self._expansion.let_go(self._item)
        return taken

    def _is_at_batch(self) -> bool:
        """Go on to the next batch that holds records for us, unless there is one already; tell whether there is one."""
        fetched = self._fetched
        while self._batch is None and fetched._records.has_next():  # noqa: SLF001
            batch = fetched._records.next_batch()  # noqa: SLF001
            self._batches_read += 1
            if fetched._check_crcs and not batch.validate_crc():  # noqa: SLF001
                raise CorruptRecordException(f"Invalid CRC - {self._item}")
            if self._is_for_nobody(batch):
                fetched.next_fetch_offset = batch.next_offset
            else:
                self._batch = batch
        self.is_over = self._batch is None
        return not self.is_over

    def _is_for_nobody(self, batch: Any) -> bool:
        """Tell whether a batch is a marker, or of a transaction that was aborted."""
        fetched = self._fetched
        if fetched._isolation_level == READ_COMMITTED and batch.producer_id is not None:  # noqa: SLF001
            aborted = fetched._aborted_producers  # noqa: SLF001
            fetched._consume_aborted_up_to(batch.base_offset)  # noqa: SLF001
            if batch.is_control_batch and fetched._contains_abort_marker(batch):  # noqa: SLF001
                aborted.discard(batch.producer_id)
            if batch.is_transactional and batch.producer_id in aborted:
                return True
        return bool(batch.is_control_batch)

    def _take(self, taken: list[Record], most_records: int, room_bytes: int) -> int:
        """Take what fits of the batch; return the room that is left."""
        if self._records is None:
            self._records = chain(self._batch)  # a batch itself cannot be left and gone on with
        try:
            return self._fill(taken, most_records, room_bytes, self._records)
        except UnicodeDecodeError:  # of what Kafka delivers only the names of headers are text
            self._records = chain(self._read_slowly())
        return room_bytes

    def _fill(self, taken: list[Record], most_records: int, room_bytes: int, records: Iterator[Any]) -> int:
        fetched, (topic, number) = self._fetched, self._item
        begin, room_records = fetched.next_fetch_offset, most_records - len(taken)
        for record in records:
            offset = record.offset
            if offset < begin:  # before where the fetch was to begin, or read already
                continue
            value = record.value
            headers = record.headers
            headers = USUAL_HEADERS if headers == _USUAL_HEADERS else tuple(headers)
            taken.append(PolledRecord(topic, number, offset, record.timestamp, record.key, value, headers))
            # Set each time, for the next record may be one that cannot be read.
            fetched.next_fetch_offset = offset + 1
            room_records -= 1
            if value:
                room_bytes -= len(value)
            if room_bytes <= 0 or room_records <= 0:
                return room_bytes
        # Its last records may have been compacted away.
        fetched.next_fetch_offset = self._batch.next_offset
        self._batch = self._records = None
        return room_bytes

    def _read_slowly(self) -> Any:
        """Return the batch once more, as the reader reads it to which every header's name is text."""
        numbers, batches = self._slow
        while True:
            batch = batches.next_batch()
            if next(numbers) == self._batches_read:
                return batch

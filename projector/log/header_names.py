r"""Header names that are no UTF-8: Kafka takes them, and aiokafka cannot read a record that has one.

Such a record may be a good event. So it is read once more, by aiokafka's slower reader, in which every byte of a name
that is no text stands as `\xff`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, SupportsIndex

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy
from aiokafka.record.util import decode_varint_py

from projector.fold.record import Record

# A fetch that is made anew for it may take longer than waiting for news does.
_FETCH_MILLISECONDS: Final = 5_000


async def poll_one(consumer: AIOKafkaConsumer, partition: TopicPartition, timeout_ms: int) -> Sequence[Record]:
    """Return the next record of a partition, or nothing when none arrives in time.

    Raises what `getmany` raises, but not because of a header's name.
    """
    try:
        polled = await consumer.getmany(partition, timeout_ms=timeout_ms, max_records=1)
    except UnicodeDecodeError:  # of what Kafka delivers only the names of headers are text
        consumer.seek(partition, await consumer.position(partition))  # forget what was fetched
        with _reading_any_name():
            polled = await consumer.getmany(partition, timeout_ms=_FETCH_MILLISECONDS, max_records=1)
    records: Sequence[Record] = polled.get(partition, ())
    return records


@contextmanager
def _reading_any_name() -> Iterator[None]:
    """Have whatever is fetched in this block read by the slower reader."""
    reader = fetcher.MemoryRecords
    fetcher.MemoryRecords = RecordsOfAnyName
    try:
        yield
    finally:
        fetcher.MemoryRecords = reader


class _Text(bytearray):
    """Bytes whose parts can always be decoded."""

    def __getitem__(self, key: SupportsIndex | slice) -> Any:
        part = super().__getitem__(key)
        return _Text(part) if isinstance(part, bytearray) else part

    def decode(self, encoding: str = "utf-8", errors: str = "backslashreplace") -> str:
        return super().decode(encoding, errors)


class _Batch(_DefaultRecordBatchPy):  # type: ignore[misc]
    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer: bytearray = _Text(self._buffer)

    def _read_msg(self, decode_varint: Any = decode_varint_py) -> Any:
        return super()._read_msg(decode_varint)


class RecordsOfAnyName(_MemoryRecordsPy):  # type: ignore[misc]
    """aiokafka's slower reader, made to read every name."""

    def next_batch(self, *limits: int) -> Any:
        """Return the next batch."""
        written = self._next_slice
        batch = super().next_batch(*limits)
        return _Batch(written) if isinstance(batch, DefaultRecordBatch) else batch

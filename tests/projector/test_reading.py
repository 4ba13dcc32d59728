"""What one fetch brought of a partition, read in turns."""

import json
from collections.abc import Iterator, Sequence

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.errors import CorruptRecordException

from projector.fold.record import Record
from projector.log.codecs import Expansion
from projector.log.reading import KeptRecords, Reading
from tests.support.events import event
from tests.support.record_batches import batch, record

LIMIT_BYTES = 100_000
ROOM_BYTES = 1 << 30
VALUE = json.dumps(event()).encode()
CODECS = ["", "gzip", "zstd"]


@pytest.fixture
def expansion() -> Iterator[Expansion]:
    """Codecs with a small limit."""
    expansion = Expansion(LIMIT_BYTES)
    expansion.install()
    yield expansion
    expansion.remove()


def fetched(expansion: Expansion, *batches: bytes, partition: int = 0, start: int = 0) -> Reading:
    """Return the reading of a fetch that holds these batches, one after the other, from an offset on."""
    content, offset = b"", 0
    for each in batches:
        count = int.from_bytes(each[57:61])
        content += offset.to_bytes(8) + each[8:]
        offset += count
    item = TopicPartition("t", partition)
    records = PartitionRecords(item, KeptRecords(content), [], start, None, None, True, READ_COMMITTED)  # noqa: FBT003 - CRCs
    return Reading(item, records, expansion)


def many(count: int, codec: str = "", size: int = 0) -> bytes:
    """Return a batch of so many records."""
    return batch([record(VALUE.ljust(size), number) for number in range(count)], codec, count)


def offsets(records: Sequence[Record]) -> list[int]:
    """Return the offsets of records."""
    return [one.offset for one in records]


@pytest.mark.parametrize("codec", CODECS)
def test_a_batch_is_read_on_where_it_was_left(expansion: Expansion, codec: str) -> None:
    """Turns end within a batch, by records or by bytes, and the next one goes on there."""
    reading = fetched(expansion, many(5, codec), many(2, codec), start=1)
    assert offsets(reading.take(2, ROOM_BYTES)) == [1, 2]
    assert offsets(reading.take(10, 1)) == [3]
    assert offsets(reading.take(10, ROOM_BYTES)) == [4, 5, 6]
    assert (reading.is_over, reading.error, reading.take(10, ROOM_BYTES)) == (True, None, [])
    assert expansion.expanded_bytes == 0


def test_what_is_before_something_unreadable_is_given_first(expansion: Expansion) -> None:
    """A broken batch ends a reading with an error, that is raised to nobody and costs no record before it."""
    broken = bytearray(many(2))
    broken[-1] ^= 1
    reading = fetched(expansion, many(3), bytes(broken))
    assert offsets(reading.take(10, ROOM_BYTES)) == [0, 1, 2]
    assert reading.is_over
    assert isinstance(reading.error, CorruptRecordException)


def test_a_batch_that_does_not_fit_alone_is_corrupt(expansion: Expansion) -> None:
    """What is larger than all that may be expanded stays so."""
    reading = fetched(expansion, many(1, "zstd", LIMIT_BYTES))
    assert reading.take(10, ROOM_BYTES) == []
    assert isinstance(reading.error, CorruptRecordException)


def test_a_batch_that_finds_no_room_beside_others_is_read_later(expansion: Expansion) -> None:
    """Who finds no room is the next to expand anything, once the others have been read as far as they are expanded."""
    half = many(3, "zstd", LIMIT_BYTES // 5)
    first = fetched(expansion, half, half)
    second = fetched(expansion, half, partition=1)
    assert offsets(first.take(1, ROOM_BYTES)) == [0]
    assert (second.take(9, ROOM_BYTES), second.is_over) == ([], False)
    assert offsets(first.take(9, ROOM_BYTES)) == [1, 2]  # and not the next batch, for the other one waits
    assert offsets(second.take(1, ROOM_BYTES)) == [0]
    assert first.take(9, ROOM_BYTES) == []
    assert offsets(second.take(9, ROOM_BYTES)) == [1, 2]
    assert offsets(first.take(9, ROOM_BYTES)) == [3, 4, 5]


def test_whoever_waits_for_room_and_is_gone_hinders_nobody(expansion: Expansion) -> None:
    """What nobody reads any more gives its room, and its turn, back."""
    half = many(3, "zstd", LIMIT_BYTES // 5)
    first, second, third = (fetched(expansion, half, partition=partition) for partition in range(3))
    assert first.take(1, ROOM_BYTES)
    assert second.take(1, ROOM_BYTES) == []
    expansion.keep_only([TopicPartition("t", 2)])
    assert offsets(third.take(9, ROOM_BYTES)) == [0, 1, 2]


@pytest.mark.parametrize("codec", CODECS)
def test_names_of_headers_that_are_no_text_are_read(expansion: Expansion, codec: str) -> None:
    """Such a record is read like any other, and so are those around it, in the same and in other batches."""
    odd = [record(VALUE, 0), record(VALUE, 1, b"a\xff\xfe"), record(VALUE, 2)]
    odd_batch = batch(odd, codec, len(odd))
    reading = fetched(expansion, many(2, codec), odd_batch, many(1, codec), odd_batch)
    records = [*reading.take(4, ROOM_BYTES), *reading.take(1, ROOM_BYTES), *reading.take(9, ROOM_BYTES)]
    assert offsets(records) == list(range(9))
    assert reading.error is None
    assert [one.offset for one in records if one.headers] == [3, 7]
    assert records[3].headers == (("a\\xff\\xfe", b""),)

"""From polled records to batches: decode, fold, and set aside what cannot be understood."""

import asyncio
from bisect import bisect_left
from collections.abc import AsyncIterator, Iterable, Sequence
from operator import attrgetter
from typing import Final

from projector.assignment.partition import Partition, Record, fingerprint_of
from projector.fold.batch import MAX_BATCH_BYTES, Batch, Span
from projector.letters.writer import DeadLetter
from schemas.decode import RefusedEventError, decode

# How many records are folded before other tasks get a turn, so that Redis works on one batch while the next is folded.
SLICE_RECORDS: Final = 250

_offset = attrgetter("offset")

# A partition, its records, and the consumer's position after them.
Polled = tuple[Partition, Sequence[Record], int]


async def batches(polled: Iterable[Polled]) -> AsyncIterator[Batch]:
    """Yield the polled records as batches within their limits, each partition's in order and without a gap.

    A batch ends where a bucket joins in that stands further than the others, so that every bucket takes either all
    of a span or nothing of it.
    """
    batch = Batch()
    for partition, records, position in polled:
        at = 0
        while at < len(records):
            boundary = partition.boundary
            at = _fold_slice(batch, partition, records, at)
            await asyncio.sleep(0)
            if batch.is_full or partition.next == boundary:
                yield batch
                batch = Batch()
        _skip_to(batch, partition, min(position, partition.boundary))
    if batch.spans:
        yield batch


def _fold_slice(batch: Batch, partition: Partition, records: Sequence[Record], at: int) -> int:
    """Fold records from index `at` until the slice or the batch is full, or the partition's boundary is reached.

    Returns the index of the first record that was not folded.
    """
    index, span = batch.span_of(partition.name, partition.next)
    below = bisect_left(records, partition.boundary, key=_offset)
    first, end = at, min(below, at + SLICE_RECORDS, at + batch.room_records)
    for record in records[at:end]:
        _fold(batch, span, index, record)
        at += 1
        if batch.size_bytes >= MAX_BATCH_BYTES:
            break
    span.records += at - first
    batch.records += at - first
    if at:
        span.fingerprint = fingerprint_of(records[at - 1])
    span.next = partition.next = partition.boundary if at == below < len(records) else records[at - 1].offset + 1
    return at


def _fold(batch: Batch, span: Span, index: int, record: Record) -> None:
    value = record.value
    batch.size_bytes += len(value or b"")
    try:
        event = decode(value, record.headers, record.timestamp)
    except RefusedEventError as refusal:
        span.dead_letters += 1
        # Not the error itself: by its traceback it would keep the batch and all records polled with it in memory, until
        # garbage is collected, which happens rarely.
        batch.letters.append(DeadLetter(record, refusal.reason, str(refusal)))
    else:
        batch.add(event, index, f"{span.partition}/{record.offset}")


def _skip_to(batch: Batch, partition: Partition, position: int) -> None:
    """Move past offsets that hold no record for us."""
    if position > partition.next:
        _, span = batch.span_of(partition.name, partition.next)
        span.next = partition.next = position

"""From records to batches: decode, fold, and set aside what cannot be understood."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from projector.fold.batch import ONE_STEP, Batch, Limits, Span
from projector.fold.record import Record, RefusedRecord, fingerprint_of
from projector.fold.usual import add_usual
from schemas.decode import RefusedEventError, decode, named_job
from schemas.registers import record_text

# How many records are folded at a time: between two slices the caller may do something else.
SLICE_RECORDS: Final = 250
# And about how much, for what is large takes long: up to 20 ms for a record.
SLICE_BYTES: Final = 128 * 1024
# Kafka's offsets are smaller.
_BEYOND_ALL: Final = 2**63

_offset = attrgetter("offset")


@dataclass(frozen=True, slots=True)
class Stretch:
    """All records of a partition from the offset `start` up to, not including, `next`.

    `stored` has the position of each bucket; the smallest of them is `start`.
    """

    partition: str
    start: int
    next: int
    stored: tuple[int, ...]
    records: Sequence[Record]


def batches(stretches: Iterable[Stretch], limits: Limits = ONE_STEP) -> Iterator[Batch | None]:
    """Yield the stretches as batches within their limits, each in order, whole and without a gap.

    None is yielded after a slice that leaves room in its batch. A batch ends where a bucket joins in that stands
    further than the others, so that every bucket takes either all of a span or nothing of it.
    """
    batch = Batch(limits=limits)
    for stretch in stretches:
        rest = _Rest(stretch, stretch.start)
        while rest.next < stretch.next:
            boundary = rest.boundary
            _fold_slice(batch, rest, boundary)
            is_over = rest.next == stretch.next and batch.has_enough
            if is_over or batch.is_full or rest.next == boundary:
                yield batch
                batch = Batch(limits=limits)
            else:
                yield None
    if batch.spans:
        yield batch


@dataclass(slots=True)
class _Rest:
    """What is left of a stretch: the offsets from `next` on, and of its records those from index `at` on."""

    stretch: Stretch
    next: int
    at: int = 0

    @property
    def boundary(self) -> int:
        """The next offset at which a bucket joins in; beyond all when none does."""
        return min((position for position in self.stretch.stored if position > self.next), default=_BEYOND_ALL)


def _fold_slice(batch: Batch, rest: _Rest, boundary: int) -> None:
    """Fold until the slice or the batch is full, or what lies below the boundary is folded."""
    stretch, records, at = rest.stretch, rest.stretch.records, rest.at
    index, span = batch.span_of(stretch.partition, rest.next, stretch.stored)
    below = bisect_left(records, boundary, key=_offset)
    most_bytes = min(batch.limits.size_bytes, batch.size_bytes + SLICE_BYTES)
    for record in records[at : min(below, at + SLICE_RECORDS, at + batch.room_records)]:
        if not add_usual(batch, index, stretch.partition, record):
            _add_any(batch, index, span, record)
        at += 1
        batch.size_bytes += len(record.value or b"")
        if batch.size_bytes >= most_bytes or batch.is_heavy:
            break
    span.records += at - rest.at
    if span.oldest_milliseconds is None and at > rest.at:
        span.oldest_milliseconds = records[rest.at].timestamp
    batch.records += at - rest.at
    if at:
        span.fingerprint = fingerprint_of(records[at - 1])
    # Behind the last record there may be offsets that hold none for us.
    span.next = rest.next = min(stretch.next, boundary) if at == below else records[at - 1].offset + 1
    rest.at = at


def _add_any(batch: Batch, index: int, span: Span, record: Record) -> None:
    """Join a record's event in, or set the record aside."""
    timestamp = record.timestamp
    try:
        event = decode(record.value, record.headers, timestamp)
    except RefusedEventError as refusal:
        _refuse(batch, span, record, refusal)
    else:
        batch.add(event, index, record_text(span.partition, record.offset, event.time, timestamp))


def _refuse(batch: Batch, span: Span, record: Record, refusal: RefusedEventError) -> None:
    span.dead_letters += 1
    # Not the error itself: by its traceback it would keep the batch and all records polled with it in memory, until
    # Python looks for cycles, which happens rarely.
    named = named_job(record.value, record.headers, refusal.reason)
    batch.refuse(RefusedRecord(record, refusal.reason, str(refusal), named))

"""A batch: what a run of records adds to the projection, folded in memory, ready to be applied in one step."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from projector.fold.job import FoldedJob
from projector.fold.record import RefusedRecord
from schemas.identity import JobIdentity, job_member
from schemas.job_event import JobEvent

# What one poll of the log may bring: some batches.
MAX_POLL_RECORDS: Final = 4_000
# Redis does nothing else while a batch is joined in: this much takes it some milliseconds, and a thin link (1 Mbit/s)
# less than half of what a call may take.
MAX_BATCH_RECORDS: Final = 500
MAX_BATCH_BYTES: Final = 512 * 1024


@dataclass(slots=True)
class Span:
    """The part of a batch that comes from one partition: records from `start` up to, not including, `next`.

    `stored` has the position of each bucket; one that stands further than `start` has the span already.
    """

    partition: str
    start: int
    next: int
    stored: tuple[int, ...]
    records: int = 0
    dead_letters: int = 0
    fingerprint: str = ""
    oldest_milliseconds: int | None = None  # when its first record was recorded, Unix time

    @property
    def no_record(self) -> int:
        """Offsets that hold no record for us: transaction markers, aborted or compacted records."""
        return self.next - self.start - self.records

    def is_due(self, bucket: int) -> bool:
        """Tell whether a bucket has not yet what the span brings."""
        return self.stored[bucket] <= self.start


@dataclass(slots=True)
class BatchedJob:
    """A job of a batch and how many of its events came from which span (by index)."""

    job: FoldedJob
    events: dict[int, int]


@dataclass(slots=True)
class Batch:
    """Records of several partitions, folded, at most `most_records`. `records` counts refused ones too."""

    spans: list[Span] = field(default_factory=list)
    refused: list[RefusedRecord] = field(default_factory=list)
    records: int = 0
    size_bytes: int = 0
    most_records: int = MAX_BATCH_RECORDS
    _jobs: dict[JobIdentity, BatchedJob] = field(default_factory=dict)

    @property
    def jobs(self) -> Collection[BatchedJob]:
        """The jobs that the batch touches."""
        return self._jobs.values()

    @property
    def room_records(self) -> int:
        """How many more records the batch may take."""
        return self.most_records - self.records

    @property
    def is_full(self) -> bool:
        """Whether the batch has reached a limit; a span without a record costs as much as one."""
        return self.size_bytes >= MAX_BATCH_BYTES or max(self.records, len(self.spans)) >= self.most_records

    def span_of(self, partition: str, start: int, stored: tuple[int, ...]) -> tuple[int, Span]:
        """Return the index and the span to which the next records of a partition belong; a new one begins at start."""
        if not self.spans or self.spans[-1].partition != partition:
            self.spans.append(Span(partition, start, start, stored))
        return len(self.spans) - 1, self.spans[-1]

    def add(self, event: JobEvent, span_index: int, recorded_at: str) -> None:
        """Join an event in."""
        known = self._jobs.get(event.identity)
        if known is None:
            known = self._jobs[event.identity] = BatchedJob(FoldedJob(event.identity), {})
        known.job.add(event, recorded_at)
        known.events[span_index] = known.events.get(span_index, 0) + 1

    def partitions_of(self, member: str) -> frozenset[str]:
        """Return the partitions whose records touch the job with this member."""
        return frozenset(
            self.spans[index].partition
            for known in self._jobs.values()
            if job_member(known.job.identity) == member
            for index in known.events
        )


def move(partition: str, start: int, to: int, stored: tuple[int, ...], *, dead_letters: int = 0) -> Batch:
    """Return a batch that moves a position without any event: so many of the offsets passed are told by a letter."""
    return Batch([Span(partition, start, to, stored, records=dead_letters, dead_letters=dead_letters)])

"""A batch: what a run of records adds to the projection, folded in memory, ready to be applied in one step."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from projector.fold.job import FoldedJob
from projector.fold.record import RefusedRecord
from schemas.identity import JobIdentity, job_member
from schemas.job_event import JobEvent

# What one poll of the log may bring: some batches.
MAX_POLL_RECORDS: Final = 6_000
# Redis does nothing else while a batch is joined in. The jobs tell how long that takes, for all reports of one are one
# job to Redis: so many take it some milliseconds.
MAX_STEP_JOBS: Final = 500
# What is sent of them: it takes a thin link (1 Mbit/s) less than half of what a call may take.
MAX_SENT_CHARACTERS: Final = 512 * 1024
# What is folded at most into so many jobs.
MAX_BATCH_RECORDS: Final = 2_000
MAX_BATCH_BYTES: Final = 768 * 1024
# The same of a batch that is sent in several steps.
MAX_WINDOW_RECORDS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What a batch may become; as it stands here, one step."""

    records: int = MAX_BATCH_RECORDS
    size_bytes: int = MAX_BATCH_BYTES
    jobs: int = MAX_STEP_JOBS
    sent_characters: int = MAX_SENT_CHARACTERS


ONE_STEP: Final = Limits()


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
    """Records of several partitions, folded, within its limits. `records` counts refused ones too.

    `size_bytes` is what the records have, `sent_characters` what at most is sent to Redis of their events, and `weight`
    what Redis has to do: the number of jobs and of refused events, for what is remembered of one costs as much.
    """

    spans: list[Span] = field(default_factory=list)
    refused: list[RefusedRecord] = field(default_factory=list)
    records: int = 0
    size_bytes: int = 0
    sent_characters: int = 0
    weight: int = 0
    limits: Limits = ONE_STEP
    by_identity: dict[tuple[str, str, str, int], BatchedJob] = field(default_factory=dict)

    @property
    def jobs(self) -> Collection[BatchedJob]:
        """The jobs that the batch touches."""
        return self.by_identity.values()

    @property
    def room_records(self) -> int:
        """How many more records the batch may take."""
        return self.limits.records - self.records

    @property
    def is_heavy(self) -> bool:
        """Whether Redis has enough to do; refused events go in one step, however many the jobs are sent in."""
        return self.weight >= self.limits.jobs or len(self.refused) >= MAX_STEP_JOBS

    @property
    def is_full(self) -> bool:
        """Whether the batch has reached a limit."""
        return (
            self.is_heavy
            or len(self.spans) >= min(self.limits.jobs, MAX_STEP_JOBS)  # a position costs as much as a job
            or self.records >= self.limits.records
            or self.sent_characters >= self.limits.sent_characters
            or self.size_bytes >= self.limits.size_bytes
        )

    @property
    def has_enough(self) -> bool:
        """Whether nothing is saved by adding records of another partition: its jobs are others."""
        return self.weight >= self.limits.jobs // 2

    def span_of(self, partition: str, start: int, stored: tuple[int, ...]) -> tuple[int, Span]:
        """Return the index and the span to which the next records of a partition belong; a new one begins at start."""
        if not self.spans or self.spans[-1].partition != partition:
            self.spans.append(Span(partition, start, start, stored))
        return len(self.spans) - 1, self.spans[-1]

    def add(self, event: JobEvent, span_index: int, recorded_at: str) -> None:
        """Join an event in."""
        identity = event.identity
        known = self.by_identity.get(identity) or self.begin(identity)
        self.sent_characters += known.job.add(event, recorded_at)
        known.events[span_index] = known.events.get(span_index, 0) + 1

    def begin(self, identity: JobIdentity) -> BatchedJob:
        """Take in a job that the batch does not know yet."""
        known = self.by_identity[identity] = BatchedJob(FoldedJob(identity, {}, {}), {})  # by default they take longer
        self.weight += 1
        self.sent_characters += len(identity.owner) + len(identity.agreement_id) + len(identity.job_id)
        return known

    def refuse(self, record: RefusedRecord) -> None:
        """Set a record aside."""
        self.refused.append(record)
        self.weight += 1

    def partitions_of(self, member: str) -> frozenset[str]:
        """Return the partitions whose records touch the job with this member."""
        return frozenset(
            self.spans[index].partition
            for known in self.by_identity.values()
            if job_member(known.job.identity) == member
            for index in known.events
        )


def move(partition: str, start: int, to: int, stored: tuple[int, ...], *, dead_letters: int = 0) -> Batch:
    """Return a batch that moves a position without any event: so many of the offsets passed are told by a letter."""
    return Batch([Span(partition, start, to, stored, records=dead_letters, dead_letters=dead_letters)])

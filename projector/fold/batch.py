"""A batch: what a run of records adds to the projection, folded in memory, ready to be applied in one step."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

import msgpack

from projector.fold.job import FoldedJob
from projector.letters.writer import DeadLetter
from schemas.event_time import unix_seconds
from schemas.identity import JobIdentity, bucket_of, job_member
from schemas.job_event import JobEvent
from schemas.redis_layout import FINGERPRINT, IDENTITY_FIELDS, INDEXES, JOB, LEDGER, score_of

MAX_BATCH_RECORDS: Final = 4_000
MAX_BATCH_BYTES: Final = 4 * 1024 * 1024

_NAMES: Final = (IDENTITY_FIELDS, INDEXES, LEDGER, FINGERPRINT, JOB)


@dataclass(slots=True)
class Span:
    """The part of a batch that comes from one partition: records from `start` up to, not including, `next`."""

    partition: str
    start: int
    next: int
    records: int = 0
    dead_letters: int = 0
    fingerprint: str = ""

    @property
    def no_record(self) -> int:
        """Offsets that hold no record for us: transaction markers, aborted or compacted records."""
        return self.next - self.start - self.records


@dataclass(slots=True)
class _Entry:
    """A job of the batch and how many of its events came from which span (by index)."""

    job: FoldedJob
    counts: dict[int, int]


@dataclass(slots=True)
class Batch:
    """Records of several partitions, folded. `records` counts dead letters too."""

    spans: list[Span] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    records: int = 0
    size_bytes: int = 0
    _entries: dict[JobIdentity, _Entry] = field(default_factory=dict)

    @property
    def jobs(self) -> int:
        """Number of jobs that the batch touches."""
        return len(self._entries)

    @property
    def room_records(self) -> int:
        """How many more records the batch may take."""
        return MAX_BATCH_RECORDS - self.records

    @property
    def is_full(self) -> bool:
        """Whether the batch has reached a limit."""
        return self.size_bytes >= MAX_BATCH_BYTES or self.records >= MAX_BATCH_RECORDS

    def span_of(self, partition: str, start: int) -> tuple[int, Span]:
        """Return the index and the span to which the next records of a partition belong; a new one begins at start."""
        if not self.spans or self.spans[-1].partition != partition:
            self.spans.append(Span(partition, start, start))
        return len(self.spans) - 1, self.spans[-1]

    def add(self, event: JobEvent, span_index: int, recorded_at: str) -> None:
        """Join an event in."""
        entry = self._entries.get(event.identity)
        if entry is None:
            entry = self._entries[event.identity] = _Entry(FoldedJob(event.identity), {})
        entry.job.add(event, recorded_at)
        entry.counts[span_index] = entry.counts.get(span_index, 0) + 1

    def folded_jobs(self) -> list[FoldedJob]:
        """Return the jobs of the batch."""
        return [entry.job for entry in self._entries.values()]

    def partitions_of(self, member: str) -> frozenset[str]:
        """Return the partitions whose records touch the job with this member."""
        return frozenset(
            self.spans[index].partition
            for entry in self._entries.values()
            if job_member(entry.job.identity) == member
            for index in entry.counts
        )

    def encode(self, buckets: int) -> list[list[list[object]]]:
        """Return for each bucket its jobs, in the form that `apply.lua` takes."""
        encoded: list[list[list[object]]] = [[] for _ in range(buckets)]
        for entry in self._entries.values():
            member = job_member(entry.job.identity)
            encoded[bucket_of(member, buckets)].append(_encode(member, entry.job, entry.counts))
        return encoded


def encode_jobs(jobs: Iterable[FoldedJob], buckets: int) -> list[list[list[object]]]:
    """Return for each bucket its jobs, in the form that `apply.lua` takes, of jobs that no ledger counts."""
    encoded: list[list[list[object]]] = [[] for _ in range(buckets)]
    for job in jobs:
        member = job_member(job.identity)
        encoded[bucket_of(member, buckets)].append(_encode(member, job, {}))
    return encoded


def _encode(member: str, job: FoldedJob, counts: dict[int, int]) -> list[object]:
    identity = (*job.identity[:-1], str(job.identity.attempt))
    return [
        member,
        identity,
        score_of(unix_seconds(job.created)),
        _flat(job.stages) + _flat(job.details),
        len(job.stages),
        _flat(counts),
    ]


def _flat(pairs: dict[str, str] | dict[int, int]) -> list[object]:
    return list(chain.from_iterable(pairs.items()))


def pack(base: str, incarnation: str, spans: Mapping[int, Span], jobs: list[list[object]], *, is_first: bool) -> bytes:
    """Return the argument of `apply.lua` for one bucket; `spans` by their index in the batch.

    Records that belong to no job (dead letters, offsets without a record) are counted in the first bucket only, so
    that the ledgers of all buckets add up.
    """
    partitions = [
        (
            span.partition,
            str(span.start),
            str(span.next),
            span.fingerprint,
            span.dead_letters if is_first else 0,
            span.no_record if is_first else 0,
            index,
        )
        for index, span in spans.items()
    ]
    # Lua knows strings, not text: without bin types both arrive as strings.
    packed: bytes = msgpack.packb((base, incarnation, partitions, jobs, _NAMES), use_bin_type=False)
    return packed

"""Folding a part of the log by the second rule: records in, jobs as they are stored in the temporary database out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from projector.fold.record import Record, value_bytes
from projector.replay.verify.facts import Facts, packed
from schemas.decode import Headers, Reason, RefusedEventError, decode, named_job
from schemas.identity import JobIdentity, bucket_of, job_member
from schemas.refused_event import refused_event
from schemas.registers import record_text

PART_RECORDS: Final = 5_000
PART_BYTES: Final = 4 * 1024 * 1024


# What the fold needs of a record: its offset, its timestamp, its value and its headers.
Logged = tuple[int, int, bytes | None, Headers]
# A job that the part gives: its member, its bucket, and its facts as `packed` writes them.
Row = tuple[bytes, int, bytes]


@dataclass(slots=True)
class Tally:
    """What became of the records of a partition: events, by bucket, and dead letters."""

    events: list[int]
    dead_letters: int = 0

    def add(self, other: "Tally") -> None:
        """Add what became of other records."""
        self.events = [mine + theirs for mine, theirs in zip(self.events, other.events, strict=True)]
        self.dead_letters += other.dead_letters


@dataclass(slots=True)
class Part:
    """Records of the log that are folded together, each run of one partition with its name."""

    runs: list[tuple[str, list[Logged]]] = field(default_factory=list)
    records: int = 0
    size_bytes: int = 0

    def add(self, name: str, records: Sequence[Record]) -> None:
        """Add records of a partition, in their order."""
        self.runs.append((name, [(one.offset, one.timestamp, one.value, one.headers) for one in records]))
        self.records += len(records)
        self.size_bytes += value_bytes(records)

    @property
    def is_full(self) -> bool:
        """Whether it has reached a limit."""
        return self.records >= PART_RECORDS or self.size_bytes >= PART_BYTES


@dataclass(slots=True)
class FoldedPart:
    """What a part of the log gives: jobs, what became of its records by partition, and refused events by bucket."""

    rows: list[Row] = field(default_factory=list)
    tallies: dict[str, Tally] = field(default_factory=dict)
    refused: list[tuple[int, str]] = field(default_factory=list)


@dataclass(slots=True)
class _Entry:
    bucket: int
    facts: Facts


def fold_part(part: Part, buckets: int) -> FoldedPart:
    """Fold a part of the log, into so many buckets."""
    folded = FoldedPart()
    entries: dict[JobIdentity, _Entry] = {}
    for name, records in part.runs:
        tally = folded.tallies.setdefault(name, Tally([0] * buckets))
        for record in records:
            offset, timestamp, value, headers = record
            try:
                event = decode(value, headers, timestamp)
            except RefusedEventError as refusal:
                tally.dead_letters += 1
                folded.refused += _remembered(name, record, refusal.reason, buckets)
                continue
            entry = entries.get(event.identity)
            if entry is None:
                bucket = bucket_of(job_member(event.identity), buckets) if buckets > 1 else 0
                entry = entries[event.identity] = _Entry(bucket, Facts(event.identity))
            tally.events[entry.bucket] += 1
            entry.facts.report(event, record_text(name, offset, event.time, timestamp))
    # In the order of the index that they go into.
    folded.rows = sorted(
        (job_member(identity).encode(), entry.bucket, packed(entry.facts.kept)) for identity, entry in entries.items()
    )
    return folded


def _remembered(name: str, record: Logged, reason: Reason, buckets: int) -> list[tuple[int, str]]:
    """Return bucket and entry of a refused event that names a job; nothing of one that names none."""
    offset, timestamp, value, headers = record
    identity = named_job(value, headers, reason)
    if identity is None:
        return []
    event = refused_event(job_member(identity), timestamp, f"{name}/{offset}", reason)
    return [(bucket_of(event.member, buckets), event.entry)]

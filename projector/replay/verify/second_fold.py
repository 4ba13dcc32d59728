"""The fold once more: every job that the log gives, in a temporary database, so that memory stays bounded."""

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgpack

from projector.fold.record import Record, fingerprint_of
from projector.replay.verify.facts import Facts, Heard, Kept, Reached, Said
from projector.replay.verify.replayed_log import Offsets, ReplayedLog, SkippedRanges
from projector.replay.verify.walk import Compared
from schemas.decode import Reason, RefusedEventError, decode, named_job
from schemas.identity import JobIdentity, bucket_of, job_member
from schemas.refused_event import MAX_REFUSED_OF_BUCKET, newest, refused_event
from schemas.registers import record_text

BATCH_RECORDS: Final = 20_000
BATCH_BYTES: Final = 16 * 1024 * 1024
ROWS_PER_STEP: Final = 500
_SCHEMA: Final = """
create table jobs (number integer primary key, member blob unique not null, bucket integer not null, job blob not null);
create index jobs_of_bucket on jobs (bucket);
"""
_PUT: Final = """
insert into jobs (member, bucket, job) values (?, ?, ?) on conflict (member) do update set job = excluded.job
"""
_new: Final = tuple.__new__  # a third of the time of a NamedTuple's own constructor


@dataclass(slots=True)
class Tally:
    """What became of the records of a partition: events, by bucket, and dead letters."""

    events: list[int]
    dead_letters: int = 0


@dataclass(slots=True)
class _Entry:
    bucket: int
    facts: Facts


@dataclass
class SecondFold:
    """The log folded up to exact offsets."""

    log: ReplayedLog
    database: sqlite3.Connection
    buckets: int
    told: Callable[[str], None] = lambda _: None  # called after each step, with what is waited for
    tallies: dict[str, Tally] = field(default_factory=dict)
    # Partition name -> the offset of a record whose fingerprint is wanted when it comes by.
    watched: Offsets = field(default_factory=dict)
    fingerprints: dict[str, str] = field(default_factory=dict)
    _refused: defaultdict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    _entries: dict[JobIdentity, _Entry] = field(default_factory=dict)
    _records: int = 0
    _bytes: int = 0

    def __post_init__(self) -> None:
        self.database.executescript(_SCHEMA)
        self.compared = Compared(self.database)

    async def advance(self, to: Offsets, skipped: SkippedRanges) -> None:
        """Fold up to these offsets."""
        async for name, records in self.log.advance(to, skipped):
            self._fold(name, records)
            if self._records >= BATCH_RECORDS or self._bytes >= BATCH_BYTES:
                self._flush()
        if self._entries:
            self._flush()

    def tally(self, name: str) -> Tally:
        """Return what became of the records of a partition so far."""
        return self.tallies.setdefault(name, Tally([0] * self.buckets))

    @property
    def records(self) -> int:
        """How many records were folded, dead letters included."""
        return sum(sum(tally.events) + tally.dead_letters for tally in self.tallies.values())

    @property
    def last_number(self) -> int:
        """The number of the job that came last; jobs are numbered from 1 in the order in which they came."""
        (number,) = self.database.execute("select max(number) from jobs").fetchone()
        return number or 0

    def jobs(self, bucket: int, members: Sequence[bytes]) -> dict[bytes, Kept]:
        """Return those of the members that the log gives to this bucket."""
        return {member: job for member, of, job in self._rows(members) if of == bucket}

    def refused(self, bucket: int) -> frozenset[str]:
        """Return the refused events that a bucket remembers, if not more: nothing newer is left out."""
        return frozenset(self._refused[bucket])

    def _fold(self, name: str, records: Sequence[Record]) -> None:
        tally = self.tally(name)
        for record in records:
            try:
                event = decode(record.value, record.headers, record.timestamp)
            except RefusedEventError as refusal:
                tally.dead_letters += 1
                self._remember(name, record, refusal.reason)
                continue
            entry = self._entries.get(event.identity) or self._new_entry(event.identity)
            tally.events[entry.bucket] += 1
            entry.facts.report(event, record_text(name, record.offset, event.time, record.timestamp))
            self._bytes += len(record.value or b"")
        watched = self.watched.get(name, -1)
        if records[0].offset <= watched <= records[-1].offset:
            self.fingerprints.update((name, fingerprint_of(record)) for record in records if record.offset == watched)
        self._records += len(records)

    def _remember(self, name: str, record: Record, reason: Reason) -> None:
        """Keep a refused event that names a job, as long as it is among those that a bucket remembers."""
        identity = named_job(record.value, record.headers, reason)
        if identity is None:
            return
        event = refused_event(job_member(identity), record.timestamp, f"{name}/{record.offset}", reason)
        known = self._refused[bucket_of(event.member, self.buckets)]
        known.add(event.entry)
        if len(known) > 2 * MAX_REFUSED_OF_BUCKET:
            kept = newest(known)
            known.intersection_update(kept)

    def _new_entry(self, identity: JobIdentity) -> _Entry:
        entry = _Entry(bucket_of(job_member(identity), self.buckets) if self.buckets > 1 else 0, Facts(identity))
        self._entries[identity] = entry
        return entry

    def _flush(self) -> None:
        """Join what was folded into the database, in the order of its index."""
        jobs = {job_member(identity).encode(): entry for identity, entry in self._entries.items()}
        self._entries, self._records, self._bytes = {}, 0, 0
        for member, _, known in self._rows(sorted(jobs)):
            jobs[member].facts.take(known)
        self.database.execute("begin")
        self.database.executemany(
            _PUT, ((member, entry.bucket, _packed(entry.facts.kept)) for member, entry in jobs.items())
        )
        self.database.execute("commit")
        self.told("")

    def _rows(self, members: Sequence[bytes]) -> Iterator[tuple[bytes, int, Kept]]:
        for at in range(0, len(members), ROWS_PER_STEP):
            step = members[at : at + ROWS_PER_STEP]
            marks = ",".join("?" * len(step))
            found = self.database.execute(
                f"select member, bucket, job from jobs where member in ({marks})",  # noqa: S608 - marks alone
                step,
            )
            for member, bucket, packed in found:
                yield member, bucket, _unpacked(packed)


def _packed(job: Kept) -> bytes:
    packed: bytes = msgpack.packb(job)
    return packed


def _unpacked(packed: bytes) -> Kept:
    identity, stages, details, news = msgpack.unpackb(packed, use_list=False)
    return Kept(
        _new(JobIdentity, identity),
        {name: _new(Reached, fact) for name, fact in stages.items()},
        {name: _new(Said, fact) for name, fact in details.items()},
        _new(Heard, news) if news else None,
    )

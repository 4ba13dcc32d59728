"""The fold once more: every job that the log gives, in a temporary database, so that memory stays bounded.

The database is a scratch file: nothing of it has to survive, so it is never synced and has no journal.
"""

import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgpack

from projector.fold.record import Record, fingerprint_of
from projector.replay.verify.facts import Facts, Reached, Said
from projector.replay.verify.replayed_log import Offsets, ReplayedLog, SkippedRanges
from schemas.decode import RefusedEventError, decode
from schemas.identity import JobIdentity, bucket_of, job_member

BATCH_RECORDS: Final = 20_000
BATCH_BYTES: Final = 16 * 1024 * 1024
ROWS_PER_STEP: Final = 200
_CACHE_KIBIBYTES: Final = 32 * 1024
_DIGEST_CHARACTERS: Final = 22
_CRC_VALUES: Final = 2**32

_SCHEMA: Final = f"""
pragma journal_mode = off;
pragma synchronous = off;
pragma locking_mode = exclusive;
pragma cache_size = -{_CACHE_KIBIBYTES};
create table jobs (number integer primary key, member blob unique not null, bucket integer not null, job blob not null);
create table seen (member blob primary key) without rowid;
"""


def is_sampled(member: bytes, fraction: float) -> bool:
    """Tell whether a job belongs to a sample of so large a fraction; all its attempts do, or none."""
    return zlib.crc32(member[:_DIGEST_CHARACTERS]) < fraction * _CRC_VALUES


@dataclass(slots=True)
class Tally:
    """What became of the records of a partition: events, by bucket, and dead letters."""

    events: list[int]
    dead_letters: int = 0


@dataclass(slots=True)
class _Entry:
    bucket: int
    job: Facts | None  # None: not in the sample


@dataclass
class SecondFold:
    """The log folded up to exact offsets."""

    log: ReplayedLog
    directory: Path
    buckets: int
    fraction: float
    told: Callable[[], None] = lambda: None  # called after each step
    tallies: dict[str, Tally] = field(default_factory=dict)
    # Partition name -> the offset of a record whose fingerprint is wanted when it comes by.
    watched: Offsets = field(default_factory=dict)
    fingerprints: dict[str, str] = field(default_factory=dict)
    seen: int = 0
    _entries: dict[JobIdentity, _Entry] = field(default_factory=dict)
    _records: int = 0
    _bytes: int = 0

    def __post_init__(self) -> None:
        self._database = sqlite3.connect(self.directory / "jobs.sqlite", isolation_level=None)
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    async def advance(self, to: Offsets, skipped: SkippedRanges) -> None:
        """Fold up to these offsets."""
        async for name, records in self.log.advance(to, skipped):
            self._fold(name, records)
            if self._records >= BATCH_RECORDS or self._bytes >= BATCH_BYTES:
                self._flush()
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
        (number,) = self._database.execute("select max(number) from jobs").fetchone()
        return number or 0

    def jobs(self, bucket: int, members: Sequence[bytes]) -> dict[bytes, Facts]:
        """Return those of the members that the log gives to this bucket."""
        return {member: job for member, of, job in self._rows(members) if of == bucket}

    def begin_bucket(self) -> None:
        """Forget what was compared: a key in a wrong bucket has the name of one in the right bucket."""
        self._database.execute("delete from seen")

    def see(self, members: Iterable[bytes]) -> list[bytes]:
        """Note that these are compared; return those that were not before."""
        insert = "insert or ignore into seen values (?)"
        self._database.execute("begin")
        fresh = [member for member in members if self._database.execute(insert, (member,)).rowcount]
        self._database.execute("commit")
        self.seen += len(fresh)
        return fresh

    def unseen(self, bucket: int, last: int, step: int) -> Iterator[list[bytes]]:
        """Yield the members of a bucket that were not compared yet, of the jobs up to number `last`, in steps."""
        number = 0
        while True:
            rows = self._database.execute(
                "select number, member from jobs where number > ? and number <= ? and bucket = ? "
                "and not exists (select 1 from seen where seen.member = jobs.member) order by number limit ?",
                (number, last, bucket, step),
            ).fetchall()
            if not rows:
                return
            number = rows[-1][0]
            yield [member for _, member in rows]

    def _fold(self, name: str, records: Sequence[Record]) -> None:
        tally = self.tally(name)
        for record in records:
            try:
                event = decode(record.value, record.headers, record.timestamp)
            except RefusedEventError:
                tally.dead_letters += 1
                continue
            entry = self._entries.get(event.identity) or self._new_entry(event.identity)
            tally.events[entry.bucket] += 1
            if entry.job is not None:
                entry.job.report(event, f"{name}/{record.offset}")
                self._bytes += len(record.value or b"")
        watched = self.watched.get(name, -1)
        if records[0].offset <= watched <= records[-1].offset:
            self.fingerprints.update((name, fingerprint_of(record)) for record in records if record.offset == watched)
        self._records += len(records)

    def _new_entry(self, identity: JobIdentity) -> _Entry:
        member = job_member(identity)
        is_wanted = self.fraction >= 1 or is_sampled(member.encode(), self.fraction)
        entry = _Entry(bucket_of(member, self.buckets), Facts(identity) if is_wanted else None)
        self._entries[identity] = entry
        return entry

    def _flush(self) -> None:
        """Join what was folded into the database."""
        entries = [(entry.bucket, entry.job) for entry in self._entries.values() if entry.job]
        self._entries, self._records, self._bytes = {}, 0, 0
        self._database.execute("begin")
        for at in range(0, len(entries), ROWS_PER_STEP):
            step = entries[at : at + ROWS_PER_STEP]
            jobs = {job_member(job.identity).encode(): (bucket, job) for bucket, job in step}
            for member, _, known in self._rows(list(jobs)):
                jobs[member][1].take(known.stages, known.details)
            self._database.executemany(
                "insert into jobs (member, bucket, job) values (?, ?, ?) "
                "on conflict (member) do update set job = excluded.job",
                ((member, bucket, _packed(job)) for member, (bucket, job) in jobs.items()),
            )
        self._database.execute("commit")
        self.told()

    def _rows(self, members: Sequence[bytes]) -> Iterator[tuple[bytes, int, Facts]]:
        for at in range(0, len(members), ROWS_PER_STEP):
            step = members[at : at + ROWS_PER_STEP]
            marks = ",".join("?" * len(step))
            found = self._database.execute(
                f"select member, bucket, job from jobs where member in ({marks})",  # noqa: S608 - marks alone
                step,
            )
            for member, bucket, packed in found:
                yield member, bucket, _unpacked(packed)


def _packed(facts: Facts) -> bytes:
    packed: bytes = msgpack.packb((facts.identity, facts.stages, facts.details))
    return packed


def _unpacked(packed: bytes) -> Facts:
    identity, stages, details = msgpack.unpackb(packed, use_list=False)
    return Facts(JobIdentity(*identity)).take(
        {name: Reached(*kept) for name, kept in stages.items()}, {name: Said(*kept) for name, kept in details.items()}
    )

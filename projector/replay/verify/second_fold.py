"""The fold once more: every job that the log gives, in a temporary database, so that memory stays bounded."""

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from projector.fold.record import Record, fingerprint_of
from projector.replay.verify.facts import Facts, Kept, packed, unpacked
from projector.replay.verify.parallel.folding import FoldedPart, Part, Row, Tally, fold_part
from projector.replay.verify.parallel.processes import Processes, UnderWay
from projector.replay.verify.replayed_log import Offsets, ReplayedLog, SkippedRanges
from projector.replay.verify.walk import Compared
from schemas.refused_event import MAX_REFUSED_OF_BUCKET, newest

ROWS_PER_STEP: Final = 500
_SCHEMA: Final = """
create table jobs (number integer primary key, member blob unique not null, bucket integer not null, job blob not null);
create index jobs_of_bucket on jobs (bucket);
"""
_PUT: Final = """
insert into jobs (member, bucket, job) values (?, ?, ?) on conflict (member) do update set job = excluded.job
"""


@dataclass
class SecondFold:
    """The log folded up to exact offsets."""

    log: ReplayedLog
    database: sqlite3.Connection
    buckets: int
    processes: Processes
    told: Callable[[str], None] = lambda _: None  # called after each step, with what is waited for
    tallies: dict[str, Tally] = field(default_factory=dict)
    # Partition name -> the offset of a record whose fingerprint is wanted when it comes by.
    watched: Offsets = field(default_factory=dict)
    fingerprints: dict[str, str] = field(default_factory=dict)
    _refused: defaultdict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    _part: Part = field(default_factory=Part)

    def __post_init__(self) -> None:
        self.database.executescript(_SCHEMA)
        self.compared = Compared(self.database)
        self._under_way = UnderWay[FoldedPart](self.processes.most)

    async def advance(self, to: Offsets, skipped: SkippedRanges) -> None:
        """Fold up to these offsets."""
        async for name, records in self.log.advance(to, skipped):
            self._look(name, records)
            self._part.add(name, records)
            if self._part.is_full:
                await self._fold()
        if self._part.records:
            await self._fold()
        self._keep(await self._under_way.take(all_of_it=True))

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
        return {member: unpacked(job) for member, job in self.packed_jobs(bucket, members).items()}

    def packed_jobs(self, bucket: int, members: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the same, as `packed` writes them."""
        return {member: job for member, of, job in self._rows(members) if of == bucket}

    def refused(self, bucket: int) -> frozenset[str]:
        """Return the refused events that a bucket remembers, if not more: nothing newer is left out."""
        return frozenset(self._refused[bucket])

    def _look(self, name: str, records: Sequence[Record]) -> None:
        """Note the fingerprint that is wanted, when its record is among these."""
        watched = self.watched.get(name, -1)
        if records[0].offset <= watched <= records[-1].offset:
            self.fingerprints.update((name, fingerprint_of(record)) for record in records if record.offset == watched)

    async def _fold(self) -> None:
        """Have the part at hand folded, and keep what came of those before it."""
        part, self._part = self._part, Part()
        self._under_way.add(self.processes.begin(fold_part, part, self.buckets))
        self._keep(await self._under_way.take())

    def _keep(self, parts: Iterable[FoldedPart]) -> None:
        for part in parts:
            for name, tally in part.tallies.items():
                self.tally(name).add(tally)
            for bucket, entry in part.refused:
                self._remember(bucket, entry)
            self._join(part.rows)
            self.told("")

    def _remember(self, bucket: int, entry: str) -> None:
        """Keep a refused event as long as it is among those that a bucket remembers."""
        known = self._refused[bucket]
        known.add(entry)
        if len(known) > 2 * MAX_REFUSED_OF_BUCKET:
            kept = newest(known)
            known.intersection_update(kept)

    def _join(self, rows: Sequence[Row]) -> None:
        """Join jobs into the database."""
        jobs = {member: (bucket, job) for member, bucket, job in rows}
        for member, bucket, job in list(self._rows(list(jobs))):
            known = unpacked(job)
            both = Facts(known.identity).take(known).take(unpacked(jobs[member][1]))
            jobs[member] = bucket, packed(both.kept)
        self.database.execute("begin")
        self.database.executemany(_PUT, ((member, bucket, job) for member, (bucket, job) in jobs.items()))
        self.database.execute("commit")

    def _rows(self, members: Sequence[bytes]) -> Iterator[Row]:
        for at in range(0, len(members), ROWS_PER_STEP):
            step = members[at : at + ROWS_PER_STEP]
            marks = ",".join("?" * len(step))
            yield from self.database.execute(
                f"select member, bucket, job from jobs where member in ({marks})",  # noqa: S608 - marks alone
                step,
            )

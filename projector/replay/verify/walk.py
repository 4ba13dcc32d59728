"""The walk through what is stored: its keys, found once and kept on disk, and which jobs were compared already.

What is written after the keys were found need not be among them: a job that arrives is known from the log.
"""

import sqlite3
from collections import defaultdict
from collections.abc import AsyncIterable, Iterator, Sequence
from typing import Final

import msgpack

from projector.store.keys import KEYS_PER_STEP
from schemas.identity import bucket_of
from schemas.redis_layout import INDEXES, JOB, bucket_prefix

_NUMBERS_PER_STEP: Final = 10_000
_BITS: Final = 8
_SCHEMA: Final = """
create table keys (number integer primary key, bucket integer not null, is_job integer not null, names blob not null);
create table strangers (member blob primary key) without rowid;
create index keys_of_bucket on keys (bucket, is_job);
"""
_JOB: Final = JOB.encode()
_INDEXES: Final = tuple(index.encode() for index in INDEXES)


class SpooledKeys:
    """Members of jobs, and keys of indexes without what every key of the bucket starts with, by bucket."""

    def __init__(self, database: sqlite3.Connection, prefix: str, number: int) -> None:
        self._database = database
        self._prefix = prefix
        self._number = number
        self.jobs = 0
        self.index_keys = 0
        self.index_keys_given = 0
        self._waiting: defaultdict[tuple[int, bool], list[bytes]] = defaultdict(list)
        database.executescript(_SCHEMA)

    async def take(self, found: AsyncIterable[tuple[int, Sequence[bytes]]]) -> None:
        """Take keys of buckets, as they are found."""
        async for bucket, keys in found:
            start = len(bucket_prefix(self._prefix, self._number, bucket).encode())
            names = [key[start:] for key in keys]
            members = [name[len(_JOB) :] for name in names if name.startswith(_JOB)]
            index_keys = [name for name in names if name.startswith(_INDEXES)]
            self.jobs += len(members)
            self.index_keys += len(index_keys)
            self._put(bucket, members, is_job=True)
            self._put(bucket, index_keys, is_job=False)
        for (bucket, is_job), names in self._waiting.items():
            self._write(bucket, names, is_job=is_job)
        self._waiting.clear()

    def members(self, bucket: int) -> Iterator[list[bytes]]:
        """Yield the members of a bucket that have a key of their own, in steps; one may come twice."""
        return self._read(bucket, is_job=True)

    def indexes(self, bucket: int) -> Iterator[list[bytes]]:
        """Yield the keys of the indexes of a bucket, in steps."""
        for names in self._read(bucket, is_job=False):
            yield names
            self.index_keys_given += len(names)

    def _put(self, bucket: int, names: list[bytes], *, is_job: bool) -> None:
        waiting = self._waiting[bucket, is_job]
        waiting += names
        while len(waiting) >= KEYS_PER_STEP:
            self._write(bucket, waiting[:KEYS_PER_STEP], is_job=is_job)
            del waiting[:KEYS_PER_STEP]

    def _write(self, bucket: int, names: list[bytes], *, is_job: bool) -> None:
        if names:
            insert = "insert into keys (bucket, is_job, names) values (?, ?, ?)"
            self._database.execute(insert, (bucket, is_job, msgpack.packb(names)))

    def _read(self, bucket: int, *, is_job: bool) -> Iterator[list[bytes]]:
        number = 0
        select = "select number, names from keys where bucket = ? and is_job = ? and number > ? order by number limit 1"
        while row := self._database.execute(select, (bucket, is_job, number)).fetchone():
            number, names = row
            yield msgpack.unpackb(names)


class Compared:
    """Which jobs of the bucket at hand were compared; `count` is of all buckets.

    There is a bit for each job that the log gives, and a row for each other one.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._bits = bytearray()
        self._bucket, self._buckets = 0, 1
        self.count = 0

    def begin(self, bucket: int, buckets: int) -> None:
        """Begin with a bucket; a key in a wrong one has the name of a key in the right one."""
        self._bucket, self._buckets = bucket, buckets
        self._database.execute("delete from strangers")

    def fresh(self, members: Sequence[bytes]) -> list[bytes]:
        """Note that these are compared; return those that were not before."""
        own = [member for member in members if self._is_at_home(member)]
        numbers = self._numbers(own)
        fresh = [member for member in dict.fromkeys(members) if self._note(member, numbers.get(member))]
        self.count += len(fresh)
        return fresh

    def left(self, last_number: int, step: int) -> Iterator[list[bytes]]:
        """Yield the members of the bucket that were not compared yet, of the jobs up to a number, in steps."""
        waiting: list[bytes] = []
        reached = 0
        while numbers := self._numbered(reached, last_number):
            reached = numbers[-1]
            waiting += self._members([number for number in numbers if not self._has(number)])
            while len(waiting) >= step:
                yield waiting[:step]
                waiting = waiting[step:]
        if waiting:
            yield waiting

    def _is_at_home(self, member: bytes) -> bool:
        return self._buckets == 1 or bucket_of(member.decode(errors="replace"), self._buckets) == self._bucket

    def _numbers(self, members: Sequence[bytes]) -> dict[bytes, int]:
        marks = ",".join("?" * len(members))
        select = f"select member, number from jobs where member in ({marks})"  # noqa: S608 - marks alone
        return dict(self._database.execute(select, members))

    def _note(self, member: bytes, number: int | None) -> bool:
        """Note that a member was compared; tell whether it was not before."""
        if number is None:
            insert = "insert or ignore into strangers values (?)"
            return self._database.execute(insert, (member,)).rowcount > 0
        if self._has(number):
            return False
        at, bit = divmod(number, _BITS)
        if at >= len(self._bits):
            self._bits.extend(bytes(at + 1 - len(self._bits)))
        self._bits[at] |= 1 << bit
        return True

    def _has(self, number: int) -> bool:
        at, bit = divmod(number, _BITS)
        return at < len(self._bits) and bool(self._bits[at] >> bit & 1)

    def _numbered(self, above: int, last: int) -> list[int]:
        select = "select number from jobs where bucket = ? and number > ? and number <= ? order by number limit ?"
        found = self._database.execute(select, (self._bucket, above, last, _NUMBERS_PER_STEP))
        return [number for (number,) in found]

    def _members(self, numbers: Sequence[int]) -> list[bytes]:
        """Return the members of these jobs, but for those that were compared before the log gave them."""
        marks = ",".join("?" * len(numbers))
        select = (
            f"select member from jobs where number in ({marks}) "  # noqa: S608 - marks alone
            "and not exists (select 1 from strangers where strangers.member = jobs.member) order by number"
        )
        return [member for (member,) in self._database.execute(select, numbers)]

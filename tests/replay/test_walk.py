"""The walk through what is stored: every key once, in its bucket, and every job compared once, wherever it is known."""

import sqlite3
from collections.abc import AsyncIterator, Iterator

import pytest

from projector.replay.verify.walk import Compared, SpooledKeys
from projector.store.keys import KEYS_PER_STEP
from schemas.identity import JobIdentity, bucket_of, job_member
from schemas.redis_layout import INDEXES, JOB, META, POSITIONS, bucket_prefix

PREFIX, NUMBER, BUCKETS = "p:{x}", 12, 3
JOBS = [job_member(JobIdentity("0x1", "a", f"job-{number}", 1)).encode() for number in range(2_000)]


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    """A database in memory with the jobs that a log has given, numbered from 1, each in its bucket."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript("create table jobs (number integer primary key, member blob unique, bucket integer);")
    rows = [(number, member, bucket_of(member.decode(), BUCKETS)) for number, member in enumerate(JOBS, start=1)]
    connection.executemany("insert into jobs values (?, ?, ?)", rows)
    yield connection
    connection.close()


async def test_keys_are_kept_by_bucket(database: sqlite3.Connection) -> None:
    """However they come, each bucket has its members and index keys, in steps, and nothing of what is beside them."""

    async def found() -> AsyncIterator[tuple[int, list[bytes]]]:
        for start in range(0, len(JOBS), 300):
            for bucket in range(BUCKETS):
                base = bucket_prefix(PREFIX, NUMBER, bucket)
                names = [name.decode() for name in JOBS[start : start + 300]]
                keys = [f"{JOB}{name}" for name in names] + [f"{index}{names[0]}" for index in INDEXES]
                yield bucket, [(base + key).encode() for key in (*keys, META, POSITIONS)]

    keys = SpooledKeys(database, PREFIX, NUMBER)
    await keys.take(found())
    assert (keys.jobs, keys.index_keys) == (BUCKETS * len(JOBS), BUCKETS * 7 * len(INDEXES))
    for bucket in range(BUCKETS):
        steps = list(keys.members(bucket))
        assert max(map(len, steps)) <= KEYS_PER_STEP
        assert [member for step in steps for member in step] == JOBS
        indexes = {key for step in keys.indexes(bucket) for key in step}
        assert indexes == {index.encode() + JOBS[start] for index in INDEXES for start in range(0, len(JOBS), 300)}
    assert keys.index_keys_given == keys.index_keys


def test_each_job_is_compared_once_and_none_is_left(database: sqlite3.Connection) -> None:
    """Keys may come twice, in a wrong bucket, or before the log gives their job; what no key had is left at the end."""
    SpooledKeys(database, PREFIX, NUMBER)  # makes the tables
    compared = Compared(database)
    at_home = [member for member in JOBS if bucket_of(member.decode(), BUCKETS) == 1]
    elsewhere = next(member for member in JOBS if bucket_of(member.decode(), BUCKETS) == 0)
    late, stranger = b"not given by the log yet", b"\xff"
    compared.begin(1, BUCKETS)
    first = [*at_home[:100], elsewhere, late, stranger]
    assert compared.fresh([*first, *at_home[:50]]) == first
    assert compared.fresh(first) == []
    database.execute("insert into jobs values (?, ?, ?)", (len(JOBS) + 1, late, 1))
    left = [member for step in compared.left(len(JOBS) + 1, 64) for member in step]
    assert left == at_home[100:]
    assert compared.fresh(left) == left
    assert list(compared.left(len(JOBS) + 1, 64)) == []
    compared.begin(0, BUCKETS)
    assert compared.fresh([elsewhere, late]) == [elsewhere, late]

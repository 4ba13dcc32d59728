"""The feed of a bucket: what readers follow is noted in the step that changes it, on a real Redis."""

from typing import Any

import pytest
from redis.asyncio import Redis

from projector.expiry.walk import Mode, OldJobs
from projector.fold.batch import Batch
from projector.store.live import Live
from schemas.decode import decode
from schemas.identity import JobIdentity, job_member
from schemas.redis_layout import CHANGES, JOB, bucket_prefix
from tests.support.applying import LATER
from tests.support.events import event, record

MOST_NAMED = 100
ENTRIES = 10_000
AGE_MILLISECONDS = 600_000


def member(job: str) -> str:
    """Return what a job of the events here is called in Redis."""
    return job_member(JobIdentity("0x1111", "0x2222", job, 1))


def batch_of(*events: dict[str, Any], start: int = 0) -> Batch:
    """Return a batch with these events at the offsets from `start` on."""
    batch = Batch()
    index, span = batch.span_of("t/0", start, (start,))
    for offset, item in enumerate(events, start):
        one = record(offset, item)
        batch.add(decode(one.value, one.headers, one.timestamp), index, f"t/0/{offset}")
    span.records += len(events)
    span.next = start + len(events)
    return batch


async def feed(redis: Redis, prefix: str) -> list[tuple[str, dict[str, str]]]:
    """Return the entries of the feed, the oldest first."""
    entries: Any = await redis.xrange(bucket_prefix(prefix, 1, 0) + CHANGES)
    return [(at.decode(), {name.decode(): value.decode() for name, value in it.items()}) for at, it in entries]


@pytest.mark.usefixtures("store")
async def test_a_new_bucket_has_an_entry_to_go_on_from(redis: Redis, prefix: str) -> None:
    """Who reads an empty bucket has a place in the feed from which nothing is missed."""
    ((_, entry),) = await feed(redis, prefix)
    assert (entry["jobs"], entry["gone"]) == ("", "")
    assert len(entry["check"]) == 8


async def test_a_batch_notes_the_jobs_that_it_changed(store: Live, redis: Redis, prefix: str) -> None:
    """What was known already is not noted, and a batch that changes nothing notes nothing."""
    await store.apply(batch_of(event(job="a"), event(job="b")))
    await store.apply(batch_of(event(job="a"), event("running", job="b", event_id="e2"), start=2))
    await store.apply(batch_of(event(job="a"), start=4))
    noted = [entry["jobs"].split() for _, entry in await feed(redis, prefix)]
    assert noted == [[], [member("a"), member("b")], [member("b")]]


async def test_too_many_jobs_are_noted_as_all(store: Live, redis: Redis, prefix: str) -> None:
    """A projector that catches up does not fill Redis with names of jobs."""
    jobs = [event(job=f"job-{number}") for number in range(2 * MOST_NAMED + 1)]
    await store.apply(batch_of(*jobs[:MOST_NAMED]))
    await store.apply(batch_of(*jobs[MOST_NAMED:], start=MOST_NAMED))
    last = [entry["jobs"] for _, entry in await feed(redis, prefix)][1:]
    assert [len(last[0].split()), last[1]] == [MOST_NAMED, "*"]


async def test_the_feed_is_trimmed_by_number(store: Live, redis: Redis, prefix: str) -> None:
    """However many batches come, the feed keeps within its limit."""
    key = bucket_prefix(prefix, 1, 0) + CHANGES
    await redis.eval(
        "for _ = 1, ARGV[1] do redis.call('XADD', KEYS[1], '*', 'check', 'c', 'jobs', 'j', 'gone', '') end",
        1,
        key,
        str(2 * ENTRIES),
    )
    await store.apply(batch_of(event()))
    assert ENTRIES <= await redis.xlen(key) <= 1.1 * ENTRIES


async def test_the_feed_is_trimmed_by_age(store: Live, redis: Redis, prefix: str) -> None:
    """Entries that nobody can be waiting for any more go when another one comes."""
    key = bucket_prefix(prefix, 1, 0) + CHANGES
    now = int((await feed(redis, prefix))[0][0].split("-")[0])
    await redis.delete(key)
    for number in range(1000):  # a stream is trimmed by whole nodes of a hundred entries
        await redis.xadd(key, {"check": "c"}, id=f"{now - AGE_MILLISECONDS - 60_000}-{number + 1}")
    await store.apply(batch_of(event()))
    assert await redis.xlen(key) <= 200


@pytest.mark.parametrize("rubbish", ["a text", "18446744073709551615-18446744073709551615", "1764260674000000-0"])
async def test_a_damaged_feed_is_begun_anew(store: Live, redis: Redis, prefix: str, rubbish: str) -> None:
    """Whatever somebody makes of the feed, the batch is applied, and the feed goes on."""
    key = bucket_prefix(prefix, 1, 0) + CHANGES
    if "-" in rubbish:
        await redis.xadd(key, {"check": "c"}, id=rubbish)
    else:
        await redis.set(key, rubbish)
    assert await store.apply(batch_of(event(job="a"))) == 1
    ((_, entry),) = await feed(redis, prefix)
    assert entry["jobs"] == member("a")
    assert await redis.exists(bucket_prefix(prefix, 1, 0) + JOB + member("a"))


async def test_jobs_that_are_let_go_are_noted_by_who_they_are(store: Live, redis: Redis, prefix: str) -> None:
    """What is gone cannot be read any more, so the feed says whose job it was."""
    await store.apply(batch_of(event(job="old"), event(job="old", attempt=12, event_id="e2")))
    steps = OldJobs(redis, prefix, store.generation.pointer).steps(LATER, Mode.MAKE_ROOM)
    assert sum([step.old async for step in steps if step]) == 2
    entry = (await feed(redis, prefix))[-1][1]
    assert sorted(entry["gone"].split("\n")) == ["0x1111\t0x2222\told\t1", "0x1111\t0x2222\told\t12"]
    assert entry["jobs"] == ""

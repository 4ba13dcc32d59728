"""What the collector's script takes, on a real Redis: exactly the jobs whose last news is before the cutoff."""

from collections.abc import Mapping
from random import Random
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from projector.errors import BucketMissingError, BucketSealedError
from projector.expiry import gone
from projector.expiry.gone import GoneJobs
from projector.expiry.walk import Gone, Mode, OldJobs, Step, count_all
from projector.fold.batch import Batch
from projector.replay.verify.facts import Facts
from projector.store.catalog import Catalog
from projector.store.live import Live
from schemas.decode import decode
from schemas.event_time import sortable_timestamp
from schemas.gone_job import gone_entry, gone_keys
from schemas.identity import JobIdentity, job_member
from schemas.lifecycle import STAGE_NAMES
from schemas.redis_layout import INDEXES, JOB, bucket_prefix
from tests.support.events import event, record
from tests.support.opening import LOG, known
from tests.support.refold import Content, content_of

FIRST_SECOND = 1_601_514_000
CUTOFF = sortable_timestamp((FIRST_SECOND + 30) * 1000)
Jobs = dict[JobIdentity, Facts]


async def opened(redis: Redis, prefix: str, buckets: int = 1) -> Live:
    """Return a store with empty buckets."""
    store = Live(redis, prefix, LOG, buckets=buckets)
    await store.open(known({}))
    return store


async def apply(store: Live, *events: Mapping[str, Any]) -> Jobs:
    """Apply these events as the whole log, and return the jobs they make."""
    batch, jobs = Batch(), cast("Jobs", {})
    index, span = batch.span_of("t/0", 0, (0,) * store.generation.pointer.buckets)
    for offset, value in enumerate(events):
        one = record(offset, dict(value))
        decoded = decode(one.value, one.headers, 2_000_000_000_000)
        batch.add(decoded, index, f"t/0/{offset}")
        jobs.setdefault(decoded.identity, Facts(decoded.identity)).report(decoded, f"t/0/{offset}")
    span.records = span.next = len(events)
    await store.apply(batch)
    return jobs


async def collect_all(redis: Redis, prefix: str, store: Live) -> int:
    """Let all old jobs of a generation go that has caught up; return how many."""
    steps = OldJobs(redis, prefix, store.generation.pointer).steps(CUTOFF, Mode.COLLECT)
    return sum([step.old async for step in steps if step])


def generated(seed: int, jobs: int) -> list[dict[str, Any]]:
    """Return events of jobs around the cutoff: any stages, in any order of times, some with details, some twice."""
    random = Random(seed)
    return [
        event(
            random.choice(STAGE_NAMES),
            time=sortable_timestamp(FIRST_SECOND * 1000 + random.choice((29_999, 30_000, random.randrange(60_000))))
            + "Z",
            job=f"job-{number}",
            event_id=f"e{report}",
            owner=f"0x{number % 7}",
            agreementId=f"agreement {number % 11}",
            attempt=random.choice((1, 2)),
            **({"message": "m"} if random.random() < 0.5 else {}),
        )
        for number in range(jobs)
        for report in range(random.choice((1, 1, 2, 3)))
    ]


def kept(jobs: Jobs) -> Jobs:
    """Return the jobs that are not too old."""
    return {who: job for who, job in jobs.items() if job.kept.last_news >= CUTOFF}


async def dump(redis: Redis, prefix: str, buckets: int) -> Content:
    """Return everything stored of jobs and indexes, over all buckets."""
    content: Content = {}
    for bucket in range(buckets):
        base = bucket_prefix(prefix, 1, bucket)
        async for key in redis.scan_iter(match=base.replace("{", "[{]") + "*", count=10_000):
            name = key.decode().removeprefix(base)
            if name.startswith(JOB):
                fields = cast("dict[bytes, bytes]", await redis.hgetall(key))
                content[name] = {field.decode(): value.decode() for field, value in fields.items()}
            elif name.startswith(INDEXES):
                members = cast("list[tuple[bytes, float]]", await redis.zrange(key, 0, -1, withscores=True))
                content.setdefault(name, {}).update({member.decode(): int(score) for member, score in members})
    return content


async def others(redis: Redis, prefix: str, buckets: int) -> list[dict[bytes, bytes]]:
    """Return what is stored beside jobs and indexes."""
    names = ("meta", "positions", "heartbeats")
    return [
        cast("dict[bytes, bytes]", await redis.hgetall(bucket_prefix(prefix, 1, bucket) + name))
        for bucket in range(buckets)
        for name in names
    ]


async def test_the_cutoff_only_grows(redis: Redis, prefix: str) -> None:
    """Whoever asks for an earlier time than another one who was faster is told the time in force."""
    catalog = Catalog(redis, prefix)
    later = sortable_timestamp((FIRST_SECOND + 31) * 1000)
    for wanted, in_force in ((CUTOFF, CUTOFF), (later, later), (CUTOFF, later), (later, later)):
        assert await catalog.raise_cutoff(wanted) == in_force
        assert (await catalog.read()).cutoff == in_force


@pytest.mark.parametrize(("seed", "buckets"), [(1, 1), (2, 1), (3, 3)])
async def test_exactly_the_old_jobs_go(redis: Redis, prefix: str, seed: int, buckets: int) -> None:
    """The script and the second rule choose the same jobs; what they leave is as if the others had never been."""
    store = await opened(redis, prefix, buckets)
    jobs = await apply(store, *generated(seed, 1200))
    beside = await others(redis, prefix, buckets)
    old = len(jobs) - len(kept(jobs))
    assert 200 < old < len(jobs) - 200
    assert await count_all(redis, prefix, store.generation.pointer, CUTOFF) == Step(len(jobs), old)
    assert await dump(redis, prefix, buckets) == content_of(jobs)
    assert await collect_all(redis, prefix, store) == old
    assert await dump(redis, prefix, buckets) == content_of(kept(jobs))
    assert await others(redis, prefix, buckets) == beside
    assert await collect_all(redis, prefix, store) == 0


async def test_who_went_is_remembered_for_a_while(redis: Redis, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs that were taken out are remembered as such, the last of them when they are too many, and none for ever."""
    store = await opened(redis, prefix)
    jobs = await apply(store, *generated(1, 300))
    steps = OldJobs(redis, prefix, store.generation.pointer).steps(CUTOFF, Mode.COLLECT)
    went = [job for step in [step async for step in steps if step] for job in step.went]
    assert sorted(went) == sorted(identity[:3] for identity in jobs.keys() - kept(jobs).keys())
    by_entry, by_time = gone_keys(prefix)
    await redis.set(by_time, "not ours")
    await GoneJobs(redis, prefix).note(went)
    entries = {gone_entry(*job).encode() for job in went}
    assert set(await redis.zrange(by_entry, 0, -1)) == set(await redis.zrange(by_time, 0, -1)) == entries
    monkeypatch.setattr(gone, "MAX_GONE", 3)
    await GoneJobs(redis, prefix).note([Gone("0x1", "0x2", "last")])
    left: Any = await redis.zrange(by_entry, 0, -1)
    assert len(left) == await redis.zcard(by_time) == 3
    assert gone_entry("0x1", "0x2", "last").encode() in left
    before = next(entry for entry in left if entry.decode() != gone_entry("0x1", "0x2", "last"))
    await redis.zadd(by_time, {before: 1_000})
    await GoneJobs(redis, prefix).note([Gone("0x1", "0x2", "last")])
    assert before not in await redis.zrange(by_entry, 0, -1)


async def test_nothing_remains_of_the_last_job(redis: Redis, prefix: str) -> None:
    """An index without members is no key any more, and a job that is not finished goes as well."""
    store = await opened(redis, prefix)
    await apply(store, event())
    assert await collect_all(redis, prefix, store) == 1
    assert await dump(redis, prefix, 1) == {}


async def test_news_at_the_cutoff_keeps_a_job(redis: Redis, prefix: str) -> None:
    """A job that spoke at the cutoff's very microsecond stays, one that spoke a microsecond before it goes."""
    store = await opened(redis, prefix)
    await apply(
        store,
        event(time=CUTOFF + "Z", job="stays"),
        event(time="2020-10-01T01:00:29.999999Z", job="goes"),
        event(time="2020-10-01T01:00:00Z", job="spoke", event_id="e1"),
        event(time="2020-10-01T01:00:30Z", job="spoke", event_id="e2", message="here"),
    )
    assert await collect_all(redis, prefix, store) == 1
    assert {name for name in await dump(redis, prefix, 1) if name.startswith("jobid:")} == {
        "jobid:stays",
        "jobid:spoke",
    }


async def test_a_bucket_that_is_gone_or_sealed_is_left_alone(redis: Redis, prefix: str) -> None:
    """Nothing is deleted from a bucket that is another one, or that is being switched."""
    store = await opened(redis, prefix)
    await apply(store, event())
    before = await dump(redis, prefix, 1)
    meta = bucket_prefix(prefix, 1, 0) + "meta"
    await redis.hset(meta, "sealed", "2")
    with pytest.raises(BucketSealedError):
        await collect_all(redis, prefix, store)
    await redis.hdel(meta, "sealed")
    await redis.hset(meta, "incarnation", "another")
    with pytest.raises(BucketMissingError):
        await collect_all(redis, prefix, store)
    assert await dump(redis, prefix, 1) == before


@pytest.mark.parametrize("name", ["floor", "log end", "log end of another partition"])
async def test_a_bucket_that_has_not_caught_up_keeps_its_jobs(redis: Redis, prefix: str, name: str) -> None:
    """While events are in the log that are not applied, a job that looks old may have news among them."""
    store = await opened(redis, prefix)
    await apply(store, event())
    before = await dump(redis, prefix, 1)
    if name == "floor":
        await store.generation.buckets.raise_floors({"t/0": 2})
    else:
        heartbeats = store.generation.heartbeats
        await heartbeats.beat({"t/0" if name == "log end" else "t/1": 2}, await heartbeats.clocks())
    steps = OldJobs(redis, prefix, store.generation.pointer).steps(CUTOFF, Mode.COLLECT)
    assert await anext(steps) is None
    assert await anext(steps) is None
    assert await dump(redis, prefix, 1) == before
    await redis.hset(bucket_prefix(prefix, 1, 0) + "positions", mapping={"t/0": "2", "t/1": "2"})
    assert [step async for step in steps] == [Step(1, 1, (Gone("0x1111", "0x2222", "3333"),))]
    assert await dump(redis, prefix, 1) == {}


@pytest.mark.parametrize("seen", ["1 unreadable", "- no-leader", "-"])
async def test_a_partition_that_is_held_keeps_its_jobs(redis: Redis, prefix: str, seen: str) -> None:
    """Behind what holds a partition, and where nobody knows how far the log goes, there may be news."""
    store = await opened(redis, prefix)
    await apply(store, event())
    heartbeats = store.generation.heartbeats
    await heartbeats.beat({"t/0": seen}, await heartbeats.clocks())
    before = await dump(redis, prefix, 1)
    steps = OldJobs(redis, prefix, store.generation.pointer).steps(CUTOFF, Mode.COLLECT)
    assert await anext(steps) is None
    assert await dump(redis, prefix, 1) == before
    await heartbeats.beat({"t/0": 1}, await heartbeats.clocks())
    assert [step async for step in steps] == [Step(1, 1, (Gone("0x1111", "0x2222", "3333"),))]


@pytest.mark.parametrize("name", ["jobid:3333", JOB + job_member(JobIdentity("0x1111", "0x2222", "3333", 1))])
async def test_a_damaged_job_is_left_for_the_repair(redis: Redis, prefix: str, name: str) -> None:
    """A key of a wrong type stops nothing: its job stays as it is, and the others go."""
    store = await opened(redis, prefix)
    jobs = await apply(store, event(), event(job="other", owner="0x9999", agreementId="0x8888"))
    damaged = content_of({who: job for who, job in jobs.items() if who.job_id == "3333"})
    assert damaged.pop(name)
    key = bucket_prefix(prefix, 1, 0) + name
    await redis.delete(key)
    await redis.set(key, "not ours")
    assert await collect_all(redis, prefix, store) == 1
    assert await redis.get(key) == b"not ours"
    await redis.delete(key)
    assert await dump(redis, prefix, 1) == damaged


async def test_a_job_that_speaks_again_begins_anew(redis: Redis, prefix: str) -> None:
    """A late event of a job that has gone makes it again from that event alone; old news goes again."""
    store = await opened(redis, prefix)
    await apply(store, event())
    await collect_all(redis, prefix, store)
    await redis.delete(bucket_prefix(prefix, 1, 0) + "positions")
    jobs = await apply(store, event("running", time="2020-10-01T01:00:10Z"))
    assert await dump(redis, prefix, 1) == content_of(jobs)
    assert await collect_all(redis, prefix, store) == 1
    await redis.delete(bucket_prefix(prefix, 1, 0) + "positions")
    jobs = await apply(store, event("finished", time="2020-10-01T01:00:40Z"))
    assert await collect_all(redis, prefix, store) == 0
    assert await dump(redis, prefix, 1) == content_of(jobs)

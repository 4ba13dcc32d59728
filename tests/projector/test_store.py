"""The one step that moves data and positions together, on a real Redis."""

import asyncio
from random import Random
from typing import Any

import pytest
from redis.asyncio import Redis

from projector.errors import (
    BucketMissingError,
    BucketSealedError,
    DamagedKeyError,
    PositionMovedError,
)
from projector.fold.batch import Batch
from projector.fold.record import RefusedRecord
from projector.store import apply
from projector.store.generation import Standing
from projector.store.ledger import ledgers
from projector.store.live import Live
from schemas import refused_event
from schemas.decode import RefusedEventError, decode, named_job
from schemas.identity import JobIdentity, job_member
from schemas.redis_layout import UNKNOWN_END, bucket_prefix
from schemas.refused_event import RefusedEvent
from service.redis import read_hash
from tests.support.events import PolledRecord, event, record
from tests.support.opening import LOG, known

JOB = job_member(JobIdentity("0x1111", "0x2222", "3333", 1))


def batch_of(*events: dict[str, object] | bytes, start: int = 0, stored: tuple[int, ...] | None = None) -> Batch:
    """Return a batch with these events at the offsets from `start` on; bytes stand for dead letters.

    `stored` has the position of each bucket, `start` of the only one when it is not given.
    """
    batch = Batch()
    index, span = batch.span_of("t/0", start, stored or (start,))
    for offset, item in enumerate(events, start):
        span.records += 1
        span.next = offset + 1
        if isinstance(item, bytes):
            span.dead_letters += 1
        else:
            one = record(offset, item)
            batch.add(decode(one.value, one.headers, one.timestamp), index, f"t/0/{offset}")
    return batch


async def dump(redis: Redis, prefix: str) -> dict[str, object]:
    """Return everything stored of jobs and indexes."""
    content: dict[str, object] = {}
    async for key in redis.scan_iter(match=f"{prefix}:{{*"):
        name = key.decode().split("}:")[1]
        if name.startswith("job:"):
            content[name] = await redis.hgetall(key)
        elif name.startswith(("owner:", "agreement:", "jobid:")):
            content[name] = await redis.zrange(key, 0, -1, withscores=True)
    return content


async def test_a_batch_is_stored_with_its_position(store: Live, redis: Redis, prefix: str) -> None:
    """A job is a readable hash, found by three indexes, and the position moves with it."""
    changed = await store.apply(batch_of(event(), event("finished", event_id="e2", outcome="failed")))
    assert changed == 1
    stored = await dump(redis, prefix)
    assert set(stored) == {f"job:{JOB}", "owner:0x1111", "agreement:0x2222", "jobid:3333"}
    assert stored["owner:0x1111"] == [(JOB.encode(), -1601514000.0)]
    job = stored[f"job:{JOB}"]
    assert isinstance(job, dict)
    assert job[b"started"] == b"2020-10-01T01:00:00.000000\t/workers/gpu-7\te1\tt/0/0"
    assert job[b"outcome"] == b"05=failed"
    assert (await store.generation.standings(["t/0"]))["t/0"].next == (2,)


async def test_a_second_time_nothing_is_written(store: Live, redis: Redis, prefix: str) -> None:
    """A batch that was applied already is refused, and says which position is stored."""
    batch = batch_of(event())
    await store.apply(batch)
    before = await dump(redis, prefix)
    with pytest.raises(PositionMovedError) as caught:
        await store.apply(batch)
    assert (caught.value.expected, caught.value.stored) == (0, 1)
    assert await dump(redis, prefix) == before


async def test_an_earlier_report_moves_the_job_in_every_index(store: Live, redis: Redis, prefix: str) -> None:
    """An event that is older than all before it makes the job older, a later one does not make it newer."""
    await store.apply(batch_of(event("running", time="2020-10-01T01:00:05Z")))
    await store.apply(batch_of(event("started", time="2020-10-01T01:00:03Z"), start=1))
    await store.apply(batch_of(event("finished", time="2020-10-01T01:00:09Z"), start=2))
    stored = await dump(redis, prefix)
    assert [stored[name] for name in ("owner:0x1111", "agreement:0x2222", "jobid:3333")] == [
        [(JOB.encode(), -1601514003.0)]
    ] * 3


async def test_split_into_batches_any_way_gives_the_same_bytes(redis: Redis, prefix: str) -> None:
    """Folding in memory and joining in Redis are the same rule, byte for byte, also beyond ASCII."""
    events = [
        event("running", event_id="é", message="\U0001f600", time="2020-10-01T01:00:02Z"),
        event("running", event_id="e", message="z", time="2020-10-01T01:00:02Z"),
        event("started", event_id="zz", time="2020-10-01T01:00:01.5Z"),
        event("started", event_id="z", time="2020-10-01T01:00:01.5Z"),
        event("running", event_id="é", message="\U0001f600!", time="2020-10-01T01:00:02Z"),
        event("running", event_id="é", message="\uffff", time="2020-10-01T01:00:02Z"),
    ]
    contents = []
    for name, sizes in (("whole", [6]), ("single", [1] * 6), ("uneven", [2, 3, 1])):
        store = Live(redis, f"{prefix}:{name}", LOG)
        await store.open(known({}))
        start = 0
        for size in sizes:
            # Every split sees the same offsets, so that the recorded places are the same.
            await store.apply(batch_of(*events[start : start + size], start=start))
            start += size
        contents.append(await dump(redis, f"{prefix}:{name}"))
    assert contents[0] == contents[1] == contents[2]
    job = contents[0][f"job:{JOB}"]
    assert isinstance(job, dict)
    assert job[b"message"].decode().endswith("\U0001f600!")


async def test_signs_of_life_are_the_same_for_every_split(redis: Redis, prefix: str) -> None:
    """The last news is that of the furthest stage that was repeated, however its reports are divided and ordered."""
    reports = [
        ("started", "01:00:01"), ("started", "01:00:09"), ("running", "01:00:02"), ("running", "01:00:05"),
        ("running", "01:00:02"), ("running", "01:00:03"), ("uploading", "01:00:04"),
    ]  # fmt: skip
    events = [
        event(stage, event_id=f"e{number}", time=f"2020-10-01T{time}Z") for number, (stage, time) in enumerate(reports)
    ]
    random, contents = Random(1), []
    for name in range(12):
        store = Live(redis, f"{prefix}:{name}", LOG)
        await store.open(known({}))
        shuffled = random.sample(events, len(events))
        at = 0
        while at < len(shuffled):
            size = random.randint(1, 3)
            await store.apply(batch_of(*shuffled[at : at + size], start=at))
            at += size
        contents.append(await dump(redis, f"{prefix}:{name}"))
    said = [content[f"job:{JOB}"][b"news"] for content in contents]  # type: ignore[index]
    assert said == [b"03\t2020-10-01T01:00:05.000000"] * len(contents)


async def test_refused_events_are_remembered_the_same_for_every_split(
    redis: Redis, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each job the newest are remembered, and of all together, however they are divided and ordered."""
    for module in (apply, refused_event):
        monkeypatch.setattr(module, "MAX_REFUSED", 3)
        monkeypatch.setattr(module, "MAX_REFUSED_OF_BUCKET", 7)
    values = [event("running", attempt=0), event("running", job="4444", source=""), event(job="5555", message=7)]
    records = [record(offset, {**values[offset % 3], "id": ""}) for offset in range(30)]
    for number, one in enumerate(records):
        one.timestamp += number % 4
    random, contents = Random(1), []
    for name in range(6):
        store = Live(redis, f"{prefix}:{name}", LOG)
        await store.open(known({}))
        shuffled, at = random.sample(records, len(records)), 0
        while at < len(shuffled):
            size = random.randint(1, 9)
            await store.apply(refusals(shuffled[at : at + size], at))
            at += size
        base = bucket_prefix(f"{prefix}:{name}", 1, 0)
        times: Any = await redis.zrange(base + "refused-times", 0, -1, withscores=True)
        of_jobs: Any = await redis.zrange(base + "refused", 0, -1)
        contents.append({entry.decode(): int(score) for entry, score in times})
        assert {entry.decode() for entry in of_jobs} == set(contents[-1])
    entries = [one.entry for one in map(remembered_of, records) if one]
    assert contents == [refused_event.newest(entries)] * 6
    assert len(contents[0]) == 6


def refusals(records: list[PolledRecord], start: int) -> Batch:
    """Return a batch of records that are refused, as if they stood at the offsets from `start` on."""
    batch = batch_of(*[b"refused"] * len(records), start=start)
    batch.refused = [refused_record(one) for one in records]
    return batch


def refused_record(one: PolledRecord) -> RefusedRecord:
    """Return what became of a record that must be refused."""
    with pytest.raises(RefusedEventError) as caught:
        decode(one.value, one.headers, one.timestamp)
    reason = caught.value.reason
    return RefusedRecord(one, reason, "", named_job(one.value, one.headers, reason))


def remembered_of(one: PolledRecord) -> RefusedEvent | None:
    """Return what is to be remembered of a refused record."""
    return refused_record(one).remembered


async def test_refused_events_need_no_sound_key(store: Live, redis: Redis, prefix: str) -> None:
    """A key of a wrong type in their place stops nobody: it is made anew, and jobs and position move."""
    base = bucket_prefix(prefix, 1, 0)
    for name in ("refused", "refused-times"):
        await redis.set(base + name, "not ours")
    await store.apply(refusals([record(0, {**event(), "id": ""})], 0))
    assert await redis.zcard(base + "refused") == await redis.zcard(base + "refused-times") == 1
    assert (await store.generation.standings(["t/0"]))["t/0"].next == (1,)


async def test_a_repetition_of_the_same_moment_is_no_news(store: Live, redis: Redis, prefix: str) -> None:
    """A report that arrives twice, or is told by two workers for the same moment, is no sign of life."""
    await store.apply(batch_of(event(), event(event_id="e0")))
    await store.apply(batch_of(event(), start=2))
    job = (await dump(redis, prefix))[f"job:{JOB}"]
    assert isinstance(job, dict)
    assert b"news" not in job


async def test_the_ledger_closes(store: Live, redis: Redis, prefix: str) -> None:
    """Applied, already known, dead letters and offsets without a record add up to the position."""
    await store.apply(batch_of(event(), b"rubbish", event("running", event_id="e2")))
    await store.apply(batch_of(event(), start=3))
    holes = batch_of(start=4)
    holes.spans[0].next = 9
    await store.apply(holes)
    account = ledgers([await read_hash(redis, bucket_prefix(prefix, 1, 0) + "positions")])["t/0"]
    assert (account.applied, account.known, account.dead_lettered, account.no_record) == (2, 1, 1, 5)
    assert account.is_closed
    assert account.next == 9


async def test_missing_and_replaced_buckets_are_refused(store: Live, redis: Redis, prefix: str) -> None:
    """After a flush, or when a bucket was begun by somebody else, nothing is written into it."""
    meta = bucket_prefix(prefix, 1, 0) + "meta"
    await redis.hset(meta, "incarnation", "another")
    with pytest.raises(BucketMissingError):
        await store.apply(batch_of(event()))
    await redis.delete(meta)
    with pytest.raises(BucketMissingError):
        await store.apply(batch_of(event()))
    with pytest.raises(BucketMissingError):
        await store.generation.heartbeats.beat({"t/0": 1}, await store.generation.heartbeats.clocks())
    assert await dump(redis, prefix) == {}


async def test_a_heartbeat_is_as_old_as_what_it_says(store: Live, redis: Redis, prefix: str) -> None:
    """The time kept is from before the log was asked, and a heartbeat that arrives late does not undo a newer one."""
    key = bucket_prefix(prefix, 1, 0) + "heartbeats"
    heartbeats = store.generation.heartbeats
    (earlier,), (later,) = await heartbeats.clocks(), [str(int((await heartbeats.clocks())[0]) + 1)]
    await asyncio.sleep(0.01)  # so that the later time is not one to come
    for asked_at, end, kept in ((earlier, 5, f"{earlier} 5"), (later, 7, f"{later} 7"), (earlier, 6, f"{later} 7")):
        await heartbeats.beat({"t/0": end}, [asked_at])
        assert await redis.hget(key, "t/0") == kept.encode()


async def test_an_end_that_was_not_known_becomes_the_floor(redis: Redis, prefix: str) -> None:
    """A partition without an end hides its bucket until there is one; a floor that was known stays as it is."""
    store = Live(redis, prefix, LOG)
    await store.open(known({"t/0": 3, "t/1": UNKNOWN_END}))
    meta, heartbeats = bucket_prefix(prefix, 1, 0) + "meta", store.generation.heartbeats
    await heartbeats.beat({"t/0": 5}, await heartbeats.clocks())
    assert await redis.hmget(meta, ["floor:t/0", "floor:t/1"]) == [b"3", str(UNKNOWN_END).encode()]
    for end in (7, 9):
        await heartbeats.beat({"t/0": 5, "t/1": end}, await heartbeats.clocks())
        assert await redis.hmget(meta, ["floor:t/0", "floor:t/1"]) == [b"3", b"7"]


async def test_a_heartbeat_by_another_clock_is_replaced(store: Live, redis: Redis, prefix: str) -> None:
    """After a failover to a server whose clock is behind, what the other one said last does not count for long."""
    key = bucket_prefix(prefix, 1, 0) + "heartbeats"
    heartbeats = store.generation.heartbeats
    (now,) = await heartbeats.clocks()
    await redis.hset(key, "t/0", f"{int(now) + 60_000} 5")
    await heartbeats.beat({"t/0": 7}, [now])
    assert await redis.hget(key, "t/0") == f"{now} 7".encode()


async def test_a_sealed_bucket_is_refused(store: Live, redis: Redis, prefix: str) -> None:
    """While a switch of generations is under way nothing is written into the old one."""
    await redis.hset(bucket_prefix(prefix, 1, 0) + "meta", "sealed", "2")
    with pytest.raises(BucketSealedError):
        await store.apply(batch_of(event()))
    assert await dump(redis, prefix) == {}


@pytest.mark.parametrize("name", [f"job:{JOB}", "owner:0x1111", "agreement:0x2222", "jobid:3333"])
async def test_a_wrong_typed_key_stops_the_batch_before_its_first_write(
    store: Live, redis: Redis, prefix: str, name: str
) -> None:
    """A damaged key is named, and neither the other jobs of the batch nor the position are written."""
    key = bucket_prefix(prefix, 1, 0) + name
    await redis.set(key, "not ours")
    with pytest.raises(DamagedKeyError) as caught:
        await store.apply(batch_of(event(job="other", owner="0x9999", agreementId="0x8888"), event()))
    assert (caught.value.key, caught.value.member) == (key, JOB)
    assert (await store.generation.standings(["t/0"]))["t/0"].next == (0,)
    await redis.delete(key)
    assert await dump(redis, prefix) == {}


async def test_a_half_written_job_is_mended(store: Live, redis: Redis, prefix: str) -> None:
    """A script that died between its writes leaves nothing that the same batch, joined again, does not complete."""
    base = bucket_prefix(prefix, 1, 0)
    await store.apply(batch_of(event()))
    whole = await dump(redis, prefix)
    await redis.delete(base + "job:" + JOB, base + "positions")
    await redis.zrem(base + "owner:0x1111", JOB)
    await store.apply(batch_of(event()))
    assert await dump(redis, prefix) == whole


async def test_several_buckets_each_take_what_they_miss(redis: Redis, prefix: str) -> None:
    """A bucket that is ahead is not sent a span again, and the ledger over all buckets closes."""
    store = Live(redis, prefix, LOG, buckets=3)
    await store.open(known({"t/0": 0}))
    events = [event(job=f"job-{number}") for number in range(30)]
    await store.apply(batch_of(*events, stored=(0, 0, 0)))
    whole = await dump(redis, prefix)
    assert len([name for name in whole if name.startswith("job:")]) == 30
    base = bucket_prefix(prefix, 1, 1)
    lost = [key async for key in redis.scan_iter(match=f"{prefix}:{{g1.b1}}:*") if b":meta" not in key]
    await redis.delete(*lost)
    standing = (await store.generation.standings(["t/0"]))["t/0"]
    assert standing == Standing((30, 0, 30), ("", "", ""))
    await store.apply(batch_of(*events, stored=standing.next))
    assert await dump(redis, prefix) == whole
    accounts = ledgers([await read_hash(redis, bucket_prefix(prefix, 1, number) + "positions") for number in range(3)])
    assert accounts["t/0"].is_closed
    assert base.startswith(prefix)

"""The one step that moves data and positions together, on a real Redis."""

import asyncio

import pytest
from redis.asyncio import Redis

from projector.errors import (
    BucketMissingError,
    BucketSealedError,
    DamagedKeyError,
    PositionMovedError,
)
from projector.store.generation import Standing
from projector.store.ledger import ledgers
from projector.store.live import Live
from schemas.redis_layout import UNKNOWN_END, bucket_prefix
from service.redis import read_hash
from tests.support.batched import JOB, batch_of, dump
from tests.support.events import event
from tests.support.opening import LOG, known


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

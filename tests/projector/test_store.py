"""The one step that moves data and positions together, on a real Redis."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from projector.errors import (
    BucketMissingError,
    BucketSealedError,
    DamagedKeyError,
    ForeignProjectionError,
    PositionMovedError,
    StoreUnavailableError,
)
from projector.fold.batch import Batch
from projector.store.generation import Standing
from projector.store.ledger import ledgers
from projector.store.live import LogIdentity, Store
from schemas.decode import decode
from schemas.identity import JobIdentity, job_member
from schemas.redis_layout import bucket_prefix, pointer_key
from service.redis import read_hash
from tests.support.events import event, record
from tests.support.services import Services

LOG = LogIdentity("cluster", "t")
JOB = job_member(JobIdentity("0x1111", "0x2222", "3333", 1))


@pytest.fixture
async def redis(services: Services) -> AsyncIterator[Redis]:
    """A client of the real Redis."""
    client = Redis.from_url(services.redis_url)
    yield client
    await client.aclose()


@pytest.fixture
async def prefix(redis: Redis) -> AsyncIterator[str]:
    """A key prefix of the test's own."""
    name = f"store-{uuid.uuid4().hex[:8]}"
    yield name
    keys = [key async for key in redis.scan_iter(match=f"{name}:*")]
    if keys:
        await redis.delete(*keys)


@pytest.fixture
async def store(redis: Redis, prefix: str) -> Store:
    """A store with one bucket, opened."""
    store = Store(redis, prefix, LOG)
    await store.open({"t/0": 0})
    return store


def batch_of(*events: dict[str, object] | bytes, start: int = 0) -> Batch:
    """Return a batch with these events at the offsets from `start` on; bytes stand for dead letters."""
    batch = Batch()
    index, span = batch.span_of("t/0", start)
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


async def test_a_batch_is_stored_with_its_position(store: Store, redis: Redis, prefix: str) -> None:
    """A job is a readable hash, found by three indexes, and the position moves with it."""
    changed = await store.apply(batch_of(event(), event("finished", event_id="e2", outcome="failed")), {"t/0": (0,)})
    assert changed == 1
    stored = await dump(redis, prefix)
    assert set(stored) == {f"job:{JOB}", "owner:0x1111", "agreement:0x2222", "jobid:3333"}
    assert stored["owner:0x1111"] == [(JOB.encode(), -1601514000.0)]
    job = stored[f"job:{JOB}"]
    assert isinstance(job, dict)
    assert job[b"started"] == b"2020-10-01T01:00:00.000000\t/workers/gpu-7\te1\tt/0/0"
    assert job[b"outcome"] == b"05\t2020-10-01T01:00:00.000000\te2\tfailed"
    assert (await store.standings(["t/0"]))["t/0"].next == (2,)


async def test_a_second_time_nothing_is_written(store: Store, redis: Redis, prefix: str) -> None:
    """A batch that was applied already is refused, and says which position is stored."""
    batch = batch_of(event())
    await store.apply(batch, {"t/0": (0,)})
    before = await dump(redis, prefix)
    with pytest.raises(PositionMovedError) as caught:
        await store.apply(batch, {"t/0": (0,)})
    assert (caught.value.expected, caught.value.stored) == (0, 1)
    assert await dump(redis, prefix) == before


async def test_an_earlier_report_moves_the_job_in_every_index(store: Store, redis: Redis, prefix: str) -> None:
    """An event that is older than all before it makes the job older, a later one does not make it newer."""
    await store.apply(batch_of(event("running", time="2020-10-01T01:00:05Z")), {"t/0": (0,)})
    await store.apply(batch_of(event("started", time="2020-10-01T01:00:03Z"), start=1), {"t/0": (1,)})
    await store.apply(batch_of(event("finished", time="2020-10-01T01:00:09Z"), start=2), {"t/0": (2,)})
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
        store = Store(redis, f"{prefix}:{name}", LOG)
        await store.open({})
        start = 0
        for size in sizes:
            # Every split sees the same offsets, so that the recorded places are the same.
            await store.apply(batch_of(*events[start : start + size], start=start), {"t/0": (start,)})
            start += size
        contents.append(await dump(redis, f"{prefix}:{name}"))
    assert contents[0] == contents[1] == contents[2]
    job = contents[0][f"job:{JOB}"]
    assert isinstance(job, dict)
    assert job[b"message"].decode().endswith("\U0001f600!")


async def test_the_ledger_closes(store: Store, redis: Redis, prefix: str) -> None:
    """Applied, already known, dead letters and offsets without a record add up to the position."""
    await store.apply(batch_of(event(), b"rubbish", event("running", event_id="e2")), {"t/0": (0,)})
    await store.apply(batch_of(event(), start=3), {"t/0": (3,)})
    holes = batch_of(start=4)
    holes.spans[0].next = 9
    await store.apply(holes, {"t/0": (4,)})
    account = ledgers([await read_hash(redis, bucket_prefix(prefix, 1, 0) + "positions")])["t/0"]
    assert (account.applied, account.known, account.dead_lettered, account.no_record) == (2, 1, 1, 5)
    assert account.is_closed
    assert account.next == 9


async def test_missing_and_replaced_buckets_are_refused(store: Store, redis: Redis, prefix: str) -> None:
    """After a flush, or when a bucket was begun by somebody else, nothing is written into it."""
    meta = bucket_prefix(prefix, 1, 0) + "meta"
    await redis.hset(meta, "incarnation", "another")
    with pytest.raises(BucketMissingError):
        await store.apply(batch_of(event()), {"t/0": (0,)})
    await redis.delete(meta)
    with pytest.raises(BucketMissingError):
        await store.apply(batch_of(event()), {"t/0": (0,)})
    with pytest.raises(BucketMissingError):
        await store.heartbeat({"t/0": 1}, await store.clocks())
    assert await dump(redis, prefix) == {}


async def test_a_heartbeat_is_as_old_as_what_it_says(store: Store, redis: Redis, prefix: str) -> None:
    """The time kept is from before the log was asked, and a heartbeat that arrives late does not undo a newer one."""
    key = bucket_prefix(prefix, 1, 0) + "heartbeats"
    (earlier,), (later,) = await store.clocks(), [str(int((await store.clocks())[0]) + 1)]
    await asyncio.sleep(0.01)  # so that the later time is not one to come
    for asked_at, end, kept in ((earlier, 5, f"{earlier} 5"), (later, 7, f"{later} 7"), (earlier, 6, f"{later} 7")):
        await store.heartbeat({"t/0": end}, [asked_at])
        assert await redis.hget(key, "t/0") == kept.encode()


async def test_a_heartbeat_by_another_clock_is_replaced(store: Store, redis: Redis, prefix: str) -> None:
    """After a failover to a server whose clock is behind, what the other one said last does not count for long."""
    key = bucket_prefix(prefix, 1, 0) + "heartbeats"
    (now,) = await store.clocks()
    await redis.hset(key, "t/0", f"{int(now) + 60_000} 5")
    await store.heartbeat({"t/0": 7}, [now])
    assert await redis.hget(key, "t/0") == f"{now} 7".encode()


async def test_a_sealed_bucket_is_refused(store: Store, redis: Redis, prefix: str) -> None:
    """While a switch of generations is under way nothing is written into the old one."""
    await redis.hset(bucket_prefix(prefix, 1, 0) + "meta", "sealed", "2")
    with pytest.raises(BucketSealedError):
        await store.apply(batch_of(event()), {"t/0": (0,)})
    assert await dump(redis, prefix) == {}


@pytest.mark.parametrize("name", [f"job:{JOB}", "owner:0x1111", "agreement:0x2222", "jobid:3333"])
async def test_a_wrong_typed_key_stops_the_batch_before_its_first_write(
    store: Store, redis: Redis, prefix: str, name: str
) -> None:
    """A damaged key is named, and neither the other jobs of the batch nor the position are written."""
    key = bucket_prefix(prefix, 1, 0) + name
    await redis.set(key, "not ours")
    with pytest.raises(DamagedKeyError) as caught:
        await store.apply(batch_of(event(job="other", owner="0x9999", agreementId="0x8888"), event()), {"t/0": (0,)})
    assert (caught.value.key, caught.value.member) == (key, JOB)
    assert (await store.standings(["t/0"]))["t/0"].next == (0,)
    await redis.delete(key)
    assert await dump(redis, prefix) == {}


async def test_a_half_written_job_is_mended(store: Store, redis: Redis, prefix: str) -> None:
    """A script that died between its writes leaves nothing that the same batch, joined again, does not complete."""
    base = bucket_prefix(prefix, 1, 0)
    await store.apply(batch_of(event()), {"t/0": (0,)})
    whole = await dump(redis, prefix)
    await redis.delete(base + "job:" + JOB, base + "positions")
    await redis.zrem(base + "owner:0x1111", JOB)
    await store.apply(batch_of(event()), {"t/0": (0,)})
    assert await dump(redis, prefix) == whole


async def test_several_buckets_each_take_what_they_miss(redis: Redis, prefix: str) -> None:
    """A bucket that is ahead is not sent a span again, and the ledger over all buckets closes."""
    store = Store(redis, prefix, LOG, buckets=3)
    await store.open({"t/0": 0})
    events = [event(job=f"job-{number}") for number in range(30)]
    await store.apply(batch_of(*events), {"t/0": (0, 0, 0)})
    whole = await dump(redis, prefix)
    assert len([name for name in whole if name.startswith("job:")]) == 30
    base = bucket_prefix(prefix, 1, 1)
    lost = [key async for key in redis.scan_iter(match=f"{prefix}:{{g1.b1}}:*") if b":meta" not in key]
    await redis.delete(*lost)
    standing = (await store.standings(["t/0"]))["t/0"]
    assert standing == Standing((30, 0, 30), ("", "", ""))
    await store.apply(batch_of(*events), {"t/0": standing.next})
    assert await dump(redis, prefix) == whole
    accounts = ledgers([await read_hash(redis, bucket_prefix(prefix, 1, number) + "positions") for number in range(3)])
    assert accounts["t/0"].is_closed
    assert base.startswith(prefix)


async def test_another_log_is_refused(store: Store, redis: Redis, prefix: str) -> None:
    """A projector of another topic or cluster never writes into this projection."""
    assert store.pointer.topic == "t"
    for other in (LogIdentity("cluster", "u"), LogIdentity("elsewhere", "t")):
        with pytest.raises(ForeignProjectionError, match="REDIS_PREFIX"):
            await Store(redis, prefix, other).open({})


async def test_opening_again_keeps_what_is_there(store: Store, redis: Redis, prefix: str) -> None:
    """A second projector finds the same generation and bucket; floors of an existing bucket stay."""
    await store.apply(batch_of(event()), {"t/0": (0,)})
    other = Store(redis, prefix, LOG)
    await other.open({"t/0": 1000})
    assert other.pointer == store.pointer
    assert await redis.hget(bucket_prefix(prefix, 1, 0) + "meta", "floor:t/0") == b"0"


async def test_what_is_whole_is_opened_without_the_log(store: Store, redis: Redis, prefix: str) -> None:
    """A generation is opened as it is when all of it is there, and not when its bucket or its announcement is gone."""
    other = Store(redis, prefix, LOG)
    assert await other.reopen()
    assert other.pointer == store.pointer
    meta = bucket_prefix(prefix, 1, 0) + "meta"
    await redis.hset(meta, "incarnation", "of another node")
    assert not await Store(redis, prefix, LOG).reopen()
    await redis.delete(meta)
    assert not await Store(redis, prefix, LOG).reopen()
    await redis.delete(pointer_key(prefix))
    assert not await Store(redis, prefix, LOG).reopen()


async def test_a_bucket_that_was_replaced_is_hidden_until_it_caught_up(store: Store, redis: Redis, prefix: str) -> None:
    """When the pointer knows another incarnation, the bucket is adopted with the log's end as its floor."""
    await redis.hset(pointer_key(prefix), "incarnation:0", "of another node")
    await store.open({"t/0": 7})
    assert await redis.hget(bucket_prefix(prefix, 1, 0) + "meta", "floor:t/0") == b"7"
    assert await redis.hget(pointer_key(prefix), "incarnation:0") == store.pointer.incarnations[0].encode()


async def test_a_floor_never_falls(store: Store, redis: Redis, prefix: str) -> None:
    """Raising a floor to less than it is leaves it."""
    await store.raise_floors({"t/0": 9})
    await store.raise_floors({"t/0": 4})
    assert await redis.hget(bucket_prefix(prefix, 1, 0) + "meta", "floor:t/0") == b"9"


async def test_redis_away_is_told() -> None:
    """A Redis that cannot be reached is one kind of error, whatever the client raises."""
    client = Redis(port=1, socket_connect_timeout=1)
    with pytest.raises(StoreUnavailableError):
        await Store(client, "nowhere", LOG).open({})
    await client.aclose()

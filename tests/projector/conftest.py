"""Fixtures of tests that write into the real Redis by themselves."""

import uuid
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from projector.store.live import Live
from tests.support.opening import LOG, known
from tests.support.services import Services


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
async def store(redis: Redis, prefix: str) -> Live:
    """A store with one bucket, opened."""
    store = Live(redis, prefix, LOG)
    await store.open(known({"t/0": 0}))
    return store

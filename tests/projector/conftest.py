"""Fixtures of tests that write into the real Redis by themselves."""

import pytest
from redis.asyncio import Redis

from projector.store.live import Live
from tests.support.opening import LOG, known


@pytest.fixture
async def store(redis: Redis, prefix: str) -> Live:
    """A store with one bucket, opened."""
    store = Live(redis, prefix, LOG)
    await store.open(known({"t/0": 0}))
    return store

"""The live generation: one call for those who ask at the same moment, remembered for a moment."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from api.metrics import Metrics
from api.projection.live import Live
from api.projection.store import Store
from api.settings import ApiSettings
from service.redis import connect
from tests.support.seeding import Projection
from tests.support.waiting import until


@pytest.fixture
async def live(redis_url: str, projection: Projection) -> AsyncIterator[Live]:
    """The live generation of the test's own projection."""
    redis = connect(ApiSettings.load({"REDIS_URL": redis_url}))
    yield Live(Store(redis, Metrics()), projection.prefix)
    await redis.aclose()


async def test_whoever_reads_the_pointer_with_others_may_go_away(live: Live) -> None:
    """When the request that began to read the pointer is cancelled, the others get it all the same."""
    first = asyncio.create_task(live.read())
    others = [asyncio.create_task(live.read()) for _ in range(3)]
    await asyncio.sleep(0)
    first.cancel()
    generations = await asyncio.gather(*others)
    assert [generation.number for generation in generations] == [1, 1, 1]
    assert first.cancelled()


async def test_the_pointer_is_remembered_for_a_moment(live: Live) -> None:
    """The pointer is not read for each request, and soon again when it may be about to change."""
    assert live.known() is None
    generation = await live.read()
    assert live.known() == generation
    live.suspect()

    async def is_forgotten() -> bool:
        return live.known() is None

    await until(is_forgotten, "the pointer is to be read again", 0.5)

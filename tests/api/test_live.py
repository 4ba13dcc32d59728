"""The live generation: one call for those who ask at the same moment, remembered for a moment."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from api.metrics import Metrics
from api.projection.live import POINTER_VALID_SECONDS, Live
from api.projection.store import Store
from api.settings import ApiSettings
from schemas.redis_layout import pointer_key
from service.redis import connect
from tests.support.client import Client, StartApi
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


async def switch_to(projection: Projection, number: int, *, epoch: int, began: int) -> None:
    """Make a generation the live one, as the catalog has it after a switch in an epoch; 0 when there was none."""
    await Projection(projection.redis, projection.prefix, generation=number).begin()
    fields = {"epoch": str(epoch), "switched": str(epoch), "began": str(began)}
    await projection.redis.hset(pointer_key(projection.prefix), mapping=fields)
    if not epoch:
        await projection.redis.hdel(pointer_key(projection.prefix), "epoch", "switched")


async def test_a_generation_from_before_a_known_switch_is_not_shown(
    start_api: StartApi, projection: Projection
) -> None:
    """A replica that has not seen the switch is no reason to show what was live before; the next switch is later."""
    await switch_to(projection, 1, epoch=0, began=1000)
    api = await start_api(projection.prefix)
    assert (await api.status("owner=0x1111")).status == 200
    await switch_to(projection, 2, epoch=2, began=2000)
    await until(lambda: is_of(api, "2"), "the new generation answers")
    await switch_to(projection, 1, epoch=0, began=1000)
    await projection.redis.hset(pointer_key(projection.prefix), "epoch", "7")  # by leases since the failover

    async def is_refused() -> bool:
        answer = await api.status("owner=0x1111")
        return answer.status == 503 and "older generation than it had already shown" in answer.error

    await until(is_refused, "the older generation is refused")
    assert (await api.get("/readyz")).status == 503
    await switch_to(projection, 3, epoch=9, began=3000)
    await until(lambda: is_of(api, "3"), "what was switched to after that answers")


async def test_a_rollback_and_a_projection_begun_anew_are_shown(start_api: StartApi, projection: Projection) -> None:
    """Who goes back on purpose switches again; who empties Redis begins a projection that knows of no switch."""
    await switch_to(projection, 2, epoch=2, began=2000)
    api = await start_api(projection.prefix)
    assert (await api.status("owner=0x1111")).status == 200
    await switch_to(projection, 1, epoch=4, began=1000)
    await until(lambda: is_of(api, "1"), "the generation from before answers")
    await projection.redis.delete(pointer_key(projection.prefix))
    await switch_to(projection, 1, epoch=0, began=5000)
    await asyncio.sleep(POINTER_VALID_SECONDS)
    assert await is_of(api, "1")


async def is_of(api: Client, number: str) -> bool:
    """Tell whether a generation answers."""
    answer = await api.status("owner=0x1111")
    return answer.status == 200 and answer.headers["Projection-Generation"] == number

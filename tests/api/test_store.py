"""The store: one call for those who ask at the same moment, and nobody's cancellation is another's."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from api.errors import StoreUnavailableError
from api.metrics import Metrics
from api.projection.lookup import Lookup
from api.projection.reader import Reader
from api.projection.store import Store
from api.settings import ApiSettings
from service.redis import connect
from tests.support.seeding import Job, Projection
from tests.support.waiting import until


@pytest.fixture
def metrics() -> Metrics:
    """What the store counts."""
    return Metrics()


@pytest.fixture
async def store(redis_url: str, projection: Projection, metrics: Metrics) -> AsyncIterator[Store]:
    """A store on the test's own projection."""
    redis = connect(ApiSettings.load({"REDIS_URL": redis_url}))
    yield Store(redis, projection.prefix, metrics)
    await redis.aclose()


async def test_whoever_reads_the_pointer_with_others_may_go_away(store: Store) -> None:
    """When the request that began to read the pointer is cancelled, the others get it all the same."""
    first = asyncio.create_task(store.read_generation())
    others = [asyncio.create_task(store.read_generation()) for _ in range(3)]
    await asyncio.sleep(0)
    first.cancel()
    generations = await asyncio.gather(*others)
    assert [generation.number for generation in generations] == [1, 1, 1]
    assert first.cancelled()


async def test_the_pointer_is_remembered_for_a_moment(store: Store) -> None:
    """The pointer is not read for each request, and soon again when a bucket says that a switch is under way."""
    assert store.known_generation() is None
    generation = await store.read_generation()
    assert store.known_generation() == generation
    store.suspect_generation()

    async def is_forgotten() -> bool:
        return store.known_generation() is None

    await until(is_forgotten, "the pointer is to be read again", 0.5)


async def test_a_lookup_whose_asker_is_gone_is_not_asked(store: Store, projection: Projection) -> None:
    """A lookup that was cancelled while it waited costs nothing, and those beside it are answered."""
    await projection.put([Job()])
    [bucket] = (await store.read_generation()).buckets
    reader = Reader(store)
    cancelled, kept = (reader.ask(bucket, Lookup(("jobid:3333",), 10, None)) for _ in range(2))
    cancelled.cancel()
    assert len((await kept).rows) == 1
    alone = reader.ask(bucket, Lookup(("jobid:3333",), 10, None))
    alone.cancel()
    assert len((await reader.ask(bucket, Lookup(("jobid:3333",), 10, None))).rows) == 1
    await reader.close()


async def test_the_same_question_at_the_same_moment_is_asked_once(
    store: Store, metrics: Metrics, projection: Projection
) -> None:
    """Those who ask the same at the same moment share a lookup, those who ask something else a round trip."""
    await projection.put([Job(), Job(job_id="4444")])
    [bucket] = (await store.read_generation()).buckets
    reader = Reader(store)
    asked = [reader.ask(bucket, Lookup((f"jobid:{name}",), 10, None)) for name in ("3333", "4444", "3333", "3333")]
    answers = await asyncio.gather(*asked)
    assert [answer.rows[0][2] for answer in answers] == [b"3333", b"4444", b"3333", b"3333"]
    assert metrics.registry.get_sample_value("api_queries_per_round_trip_count") == 1
    assert metrics.registry.get_sample_value("api_queries_per_round_trip_sum") == 2
    await reader.close()


async def test_an_unexpected_fault_is_the_answer_and_not_the_end(
    store: Store, projection: Projection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong in a call is raised to those who wait for it, and the next ones are answered."""
    await projection.put([Job()])
    [bucket] = (await store.read_generation()).buckets
    reader = Reader(store)
    with monkeypatch.context() as broken:
        broken.setattr(store, "read", None)
        with pytest.raises(TypeError):
            await reader.ask(bucket, Lookup(("jobid:3333",), 10, None))
    assert len((await reader.ask(bucket, Lookup(("jobid:3333",), 10, None))).rows) == 1
    await reader.close()


async def test_a_redis_that_is_not_there_is_told_without_its_address() -> None:
    """The sentence for those who ask tells that the store is away, not where it should be."""
    redis = connect(ApiSettings.load({"REDIS_URL": "redis://127.0.0.1:1"}))
    with pytest.raises(StoreUnavailableError) as caught:
        await Store(redis, "test", Metrics()).read_generation()
    assert str(caught.value) == "The store cannot be read: no connection"
    await redis.aclose()

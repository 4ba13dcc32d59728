"""The reader: one call for those who ask at the same moment, and nobody's cancellation is another's."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from api.metrics import Metrics
from api.projection.buckets import Buckets
from api.projection.errors import StoreUnavailableError, UnavailableError
from api.projection.generation import Bucket, Generation
from api.projection.lookup import Lookup, Search
from api.projection.reader import Reader
from api.projection.scan import Scan
from api.projection.store import Store
from api.settings import ApiSettings
from service.redis import connect
from tests.support.seeding import Job, Projection


@pytest.fixture
def metrics() -> Metrics:
    """What the calls count."""
    return Metrics()


@pytest.fixture
def bucket(projection: Projection) -> Bucket:
    """The bucket of the test's own projection."""
    return Bucket(projection.generation, 0, projection.key(""), projection.incarnation)


@pytest.fixture
async def buckets(redis_url: str, metrics: Metrics) -> AsyncIterator[Buckets]:
    """What asks a bucket."""
    redis = connect(ApiSettings.load({"REDIS_URL": redis_url}))
    yield Buckets(Store(redis, metrics), metrics)
    await redis.aclose()


@pytest.fixture
async def reader(buckets: Buckets) -> AsyncIterator[Reader]:
    """A reader of it."""
    reader = Reader(buckets)
    yield reader
    await reader.close()


def wanted(job_id: str) -> Lookup:
    """Return the lookup of a job."""
    return Lookup((f"jobid:{job_id}",), 10, None)


async def test_a_lookup_whose_asker_is_gone_is_not_asked(
    reader: Reader, bucket: Bucket, projection: Projection
) -> None:
    """A lookup that was cancelled while it waited costs nothing, and those beside it are answered."""
    await projection.put([Job()])
    cancelled, kept = (reader.ask(bucket, wanted("3333")) for _ in range(2))
    cancelled.cancel()
    assert len((await kept).rows) == 1
    alone = reader.ask(bucket, wanted("3333"))
    alone.cancel()
    assert len((await reader.ask(bucket, wanted("3333"))).rows) == 1


async def test_the_same_question_at_the_same_moment_is_asked_once(
    reader: Reader, bucket: Bucket, metrics: Metrics, projection: Projection
) -> None:
    """Those who ask the same at the same moment share a lookup, those who ask something else a round trip."""
    await projection.put([Job(), Job(job_id="4444")])
    asked = [reader.ask(bucket, wanted(name)) for name in ("3333", "4444", "3333", "3333")]
    portions = await asyncio.gather(*asked)
    assert [portion.rows[0][2] for portion in portions] == [b"3333", b"4444", b"3333", b"3333"]
    assert metrics.registry.get_sample_value("api_queries_per_round_trip_count") == 1
    assert metrics.registry.get_sample_value("api_queries_per_round_trip_sum") == 2


async def test_an_unexpected_fault_is_the_answer_and_not_the_end(
    reader: Reader, buckets: Buckets, bucket: Bucket, projection: Projection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong in a call is raised to those who wait for it, and the next ones are answered."""
    await projection.put([Job()])
    with monkeypatch.context() as broken:
        broken.setattr(buckets, "look_up", None)
        with pytest.raises(TypeError):
            await reader.ask(bucket, wanted("3333"))
    assert len((await reader.ask(bucket, wanted("3333"))).rows) == 1


@pytest.mark.parametrize("fault", ["another incarnation", "no answer"])
async def test_what_failed_is_let_go_at_once(
    reader: Reader, buckets: Buckets, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """An answer that failed is no garbage that waits to be found: under faults that is much, with the rows it has."""
    if fault == "no answer":

        async def broken(*_: object) -> None:
            await asyncio.sleep(0)
            raise StoreUnavailableError(fault)

        monkeypatch.setattr(buckets, "look_up", broken)
    gc.collect()
    gc.disable()
    try:
        generation = Generation(1, (bucket._replace(incarnation=fault),))
        scan = Scan(reader.ask, generation, Search(("jobid:x",), None, None), asyncio.Lock())
        kept = weakref.ref(scan)
        with suppress(UnavailableError):
            await scan.fill(10)
            pytest.fail("there is nothing that could be answered")
        del scan
        await asyncio.sleep(0.05)
        assert kept() is None
    finally:
        gc.enable()

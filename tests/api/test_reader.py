"""The reader: one call for those who ask at the same moment, and nobody's cancellation is another's."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from api.metrics import Metrics
from api.projection.buckets import Buckets
from api.projection.errors import StoreUnavailableError, UnavailableError
from api.projection.generation import Bucket, Generation
from api.projection.lookup import Changes, FeedPlace, Lookup, Search
from api.projection.reader import CALLS_PER_BUCKET, Reader
from api.projection.scan import Scan
from api.projection.store import Store
from api.settings import ApiSettings
from schemas.redis_layout import CHANGES
from service.redis import connect
from tests.support.seeding import Job, Projection

ENTRIES, ASKING = 300, 60
# So many lists that they need a dozen calls.
LONG_LINE = 130


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


@pytest.mark.parametrize("follows_all", [False, True])
async def test_very_many_who_come_again_at_once_share_what_a_call_may_do(
    reader: Reader, bucket: Bucket, projection: Projection, redis: Any, *, follows_all: bool
) -> None:
    """Redis does a bounded piece for each call, however many want to know what changed; who tells all is first."""
    await projection.put([Job()])
    entry = {"check": "00000000", "jobs": Job().member, "gone": ""}
    ids = [(await redis.xadd(projection.key(CHANGES), entry)).decode() for _ in range(ENTRIES)]
    milliseconds, _, number = ids[0].partition("-")
    first = FeedPlace(int(milliseconds), int(number), "00000000")
    waiting = [Changes((f"owner:0x{number}",), ENTRIES, first) for number in range(ASKING)]
    if follows_all:
        waiting.append(Changes((), ENTRIES, first))
    answers = await asyncio.gather(*(reader.ask_changes(bucket, it) for it in waiting))
    looked_at = sum(answer.reached != first for answer in answers)
    assert 0 < looked_at < ASKING
    assert not follows_all or answers[-1].rows
    ends = await asyncio.gather(*(followed(reader, bucket, it) for it in waiting))
    assert {place.entry for place in ends} == {ids[-1]}


async def followed(reader: Reader, bucket: Bucket, changes: Changes) -> FeedPlace:
    """Ask on until all is told; return up to where."""
    while True:
        answer = await reader.ask_changes(bucket, changes)
        assert not answer.is_lost
        if answer.is_done:
            return answer.reached
        changes = changes._replace(after=answer.reached, known=answer.known)


async def test_who_can_be_served_in_full_in_some_calls_asks_once(
    reader: Reader, bucket: Bucket, metrics: Metrics, projection: Projection
) -> None:
    """Many lists asked for at one moment share no more of a call than the script can do, so that none asks again."""
    owners = [f"0x{number:04x}" for number in range(64)]
    await projection.put([Job(owner, job_id=f"{number}") for owner in owners for number in range(20)])
    portions = await asyncio.gather(*(reader.ask(bucket, Lookup((f"owner:{owner}",), 21, None)) for owner in owners))
    assert all(portion.is_done and len(portion.rows) == 20 for portion in portions)
    assert metrics.registry.get_sample_value("api_queries_per_round_trip_sum") == 64
    assert (metrics.registry.get_sample_value("api_queries_per_round_trip_count") or 0) <= 6


async def test_who_names_jobs_shares_a_call_with_many(
    reader: Reader, bucket: Bucket, metrics: Metrics, projection: Projection
) -> None:
    """Of a job there are a few attempts at most, however many are asked for: a hundred jobs are one call."""
    await projection.put([Job(job_id=f"{number}") for number in range(100)])
    await asyncio.gather(*(reader.ask(bucket, Lookup((f"jobid:{number}",), 25, None)) for number in range(100)))
    assert metrics.registry.get_sample_value("api_queries_per_round_trip_count") == 1


async def test_nobody_waits_for_a_store_that_hangs_longer_than_the_limit(
    reader: Reader, buckets: Buckets, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who stands behind many others in the line of a Redis that hangs is told so in time: streams that come again."""
    calls = 0

    async def hangs(_: Bucket, __: object, timeout_seconds: float) -> None:
        nonlocal calls
        calls += 1
        await asyncio.sleep(timeout_seconds)
        raise StoreUnavailableError("no answer in time")

    monkeypatch.setattr("api.projection.reader.LOOKUP_SECONDS", 0.8)
    monkeypatch.setattr("api.projection.reader.CALL_TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr(buckets, "look_up", hangs)
    asked = [reader.ask(bucket, Lookup((f"owner:0x{number:04x}",), 25, None)) for number in range(LONG_LINE)]
    told = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(it, StoreUnavailableError) for it in told)
    assert calls <= 2 * CALLS_PER_BUCKET  # one after the other they would be a dozen


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

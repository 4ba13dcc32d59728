"""Unfinished jobs are counted by why they are where they are, as the API would say of each of them."""

from math import isnan
from typing import Any

import pytest
from redis.asyncio import Redis

from projector.diagnosing.census import Census
from projector.diagnosing.unfinished import UnfinishedJobs
from projector.metrics import Metrics
from projector.store.live import Live
from schemas.diagnosis.limits import limits_of
from schemas.redis_layout import JOB, REFUSED, Pointer
from tests.support.opening import LOG
from tests.support.seeding import FINISHED_JOB, PARTITION, Job, Projection

LONG = limits_of("silent=3650d,job=3650d")


class Counted:
    """What stands for the live generation: its pointer and cutoff."""

    def __init__(self, projection: Projection, cutoff: str = "") -> None:
        incarnations = (projection.incarnation,) * projection.buckets
        self.pointer = Pointer(1, projection.buckets, 1, "cluster", "job-events", incarnations)
        self.generation = self
        self.cutoff = cutoff


async def counted(redis: Redis, projection: Projection, cutoff: str = "", *, is_due: bool = True) -> dict[str, float]:
    """Return what the metrics say after jobs were counted once; the number of unfinished jobs under ''."""
    metrics = Metrics()
    store: Any = Counted(projection, cutoff)
    census = Census(redis, projection.prefix, store, LONG, metrics, is_due=lambda: is_due)
    await census.once()
    found = {
        sample.labels.get("code", ""): sample.value
        for family in metrics.registry.collect()
        if family.name in {"projector_diagnosed_jobs", "projector_unfinished_jobs"}
        for sample in family.samples
    }
    return {code: value for code, value in found.items() if value or not code}


@pytest.fixture
async def projection(redis: Redis, prefix: str) -> Projection:
    """A projection whose only partition is applied to its end, as was just confirmed."""
    projection = Projection(redis, prefix, buckets=2)
    await projection.begin()
    await projection.stand({PARTITION: 8}, {PARTITION: 8})
    return projection


async def test_unfinished_jobs_are_counted_by_each_of_their_codes(redis: Redis, projection: Projection) -> None:
    """A job counts for every cause that holds; one that has finished, or is damaged, or is let go, counts for none."""
    await projection.put(Job(job_id=f"job-{number}") for number in range(30))
    refused = Job(job_id="job-1")
    await projection.refuse(refused, "2020-10-01T01:00:00Z", "invalid-field")
    await projection.put([FINISHED_JOB, Job(job_id="new", stages={"started": "2120-10-01T01:00:00Z"})])
    assert await counted(redis, projection) == {
        "": 31,
        "WORKER:NEVER_STARTED": 30,
        "STAGE:OVERDUE": 30,
        "EVENTS:REFUSED": 1,
        "UNDETERMINED": 1,
    }
    for bucket in range(2):
        await redis.hset(projection.key(JOB + refused.member, bucket), "started", "rubbish")
        await redis.set(projection.key(REFUSED, bucket), "not ours")
    assert (await counted(redis, projection))[""] == 30
    assert (await counted(redis, projection, "2021-01-01T00:00:00.000000"))[""] == 1
    await projection.hold(PARTITION, "unreadable", 9)
    held = await counted(redis, projection)
    assert (held["PROJECTION:HELD"], held["PROJECTION:BEHIND"]) == (30, 30)


async def test_what_is_not_known_is_not_said(redis: Redis, projection: Projection) -> None:
    """Of several projectors one counts; it says nothing while the projection is gone."""
    await projection.put([Job()])
    assert (await counted(redis, projection))[""] == 1
    others = await counted(redis, projection, is_due=False)
    assert all(map(isnan, others.values()))
    projection.incarnation = "another"
    assert all(map(isnan, (await counted(redis, projection)).values()))


async def test_many_large_jobs_are_read_in_several_steps(redis: Redis, projection: Projection) -> None:
    """However much jobs hold, a step reads a bounded part of it, and every one of them is counted once."""
    large = {"outputsURL": ["http://example.net/" + "u" * 2000] * 20}
    await projection.put(Job(job_id=f"job-{number}", details=large) for number in range(60))
    store: Any = Counted(projection)
    steps = UnfinishedJobs(redis, projection.prefix, store.pointer, LONG).steps("")
    sizes = [len(cases) async for cases in steps]
    assert sum(sizes) == 60
    assert max(sizes) < 10


async def test_a_live_generation_that_is_not_open_is_no_end(redis: Redis, prefix: str) -> None:
    """Before the projection is begun there is nothing to count, and nothing fails."""
    store: Any = Live(redis, prefix, LOG)
    census = Census(redis, prefix, store, LONG, Metrics(), is_due=lambda: True)
    assert await census.once() is False

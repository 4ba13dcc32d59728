"""Answers out of several buckets."""

from typing import Any

import pytest

from schemas.identity import bucket_of
from schemas.redis_layout import META
from tests.support.client import TIMELINE, StartApi
from tests.support.seeding import PARTITION, Projection, names, numbered


@pytest.mark.parametrize("buckets", [2, 5])
async def test_buckets_are_merged_and_a_whole_identity_asks_one(
    start_api: StartApi, redis: Any, projection: Projection, buckets: int
) -> None:
    """Jobs of several buckets come as one list; a whole identity is answered by its own bucket alone."""
    spread = Projection(redis, projection.prefix, buckets=buckets)
    await spread.begin()
    await spread.put(numbered(3000, seconds=11))
    await spread.stand({PARTITION: 7}, {PARTITION: 9})
    api = await start_api(projection.prefix)
    streamed = await api.status("owner=0x1111")
    dates = [job["dateCreated"] for job in streamed.json()]
    assert dates == sorted(dates, reverse=True)
    assert len(set(names(streamed.json()))) == 3000
    assert streamed.headers["Projection-Lag"] == "2"
    assert (await api.get(f"{TIMELINE}?owner=0x1111&limit=1000")).status == 200


async def test_one_bucket_that_is_gone(start_api: StartApi, redis: Any, projection: Projection) -> None:
    """A bucket that cannot be shown makes every answer 503 that needs it; jobs of the other buckets are answered."""
    spread = Projection(redis, projection.prefix, buckets=2)
    await spread.begin()
    jobs = numbered(20)
    await spread.put(jobs)
    api = await start_api(projection.prefix)
    await redis.delete(spread.key(META, 1))
    assert (await api.status("owner=0x1111")).status == 503
    for job in jobs:
        answer = await api.status(f"owner=0x1111&agreementId=0x2222&jobId={job.job_id}")
        assert answer.status == (200 if bucket_of(job.member, 2) == 0 else 503)

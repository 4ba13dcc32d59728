"""Batches of events as tests apply them, and what Redis holds afterwards."""

from redis.asyncio import Redis

from projector.fold.batch import Batch
from schemas.decode import decode
from schemas.identity import JobIdentity, job_member
from tests.support.events import record

JOB = job_member(JobIdentity("0x1111", "0x2222", "3333", 1))


def batch_of(*events: dict[str, object] | bytes, start: int = 0, stored: tuple[int, ...] | None = None) -> Batch:
    """Return a batch with these events at the offsets from `start` on; bytes stand for dead letters.

    `stored` has the position of each bucket, `start` of the only one when it is not given.
    """
    batch = Batch()
    index, span = batch.span_of("t/0", start, stored or (start,))
    for offset, item in enumerate(events, start):
        span.records += 1
        span.next = offset + 1
        if isinstance(item, bytes):
            span.dead_letters += 1
        else:
            one = record(offset, item)
            batch.add(decode(one.value, one.headers, one.timestamp), index, f"t/0/{offset}")
    return batch


async def dump(redis: Redis, prefix: str) -> dict[str, object]:
    """Return everything stored of jobs and indexes."""
    content: dict[str, object] = {}
    async for key in redis.scan_iter(match=f"{prefix}:{{*"):
        name = key.decode().split("}:")[1]
        if name.startswith("job:"):
            content[name] = await redis.hgetall(key)
        elif name.startswith(("owner:", "agreement:", "jobid:")):
            content[name] = await redis.zrange(key, 0, -1, withscores=True)
    return content

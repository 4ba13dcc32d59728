"""Carrying over: jobs whose events the log has lost are taken from the live generation, and marked so.

A job is carried when one of its stages was recorded before the place where the log begins now. Joining is all it
takes: what the log still holds of the job is joined in as well, in any order.
"""

from collections.abc import Mapping

from projector.fold.job import FoldedJob
from projector.replay.generations.joining import join
from projector.store.calls import limited
from projector.store.generation import Generation
from projector.store.keys import keys_of
from schemas.redis_layout import CARRIED, JOB, SEPARATOR
from service.redis import AnyRedis

# Partition name -> the offset at which the log begins.
Starts = Mapping[str, int]


async def carry_over(redis: AnyRedis, prefix: str, live: Generation, target: Generation, starts: Starts) -> int:
    """Join what the log has lost of the live generation into the target; return how many jobs."""
    carried = 0
    for bucket in live.buckets.numbers:
        async for keys in keys_of(redis, prefix, live.pointer.number, bucket, JOB):
            async with limited(), redis.pipeline(transaction=False) as pipeline:
                for key in keys:
                    pipeline.hgetall(key)
                hashes = await pipeline.execute()
            jobs = [job for fields in hashes if fields and is_older(job := FoldedJob.from_hash(fields), starts)]
            for job in jobs:
                job.details.setdefault(CARRIED, f"g{live.pointer.number}")
            await join(redis, target, jobs)
            carried += len(jobs)
    return carried


def is_older(job: FoldedJob, starts: Starts) -> bool:
    """Tell whether the log has lost events of a job."""
    if CARRIED in job.details:
        return True
    recorded = (register.rpartition(SEPARATOR)[2].rpartition("/") for register in job.stages.values())
    return any(int(offset) < starts.get(partition, 0) for partition, _, offset in recorded)

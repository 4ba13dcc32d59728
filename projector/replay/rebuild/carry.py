"""Carrying over: jobs whose events the log has lost are taken from the live generation, and marked so.

A job is carried when one of its stages was recorded before the place where the log begins now. Joining is all it
takes: what the log still holds of the job is joined in as well, in any order.
"""

from collections.abc import Mapping

from projector.fold.batch import encode_jobs
from projector.fold.job import FoldedJob
from projector.fold.stored_job import job_of
from projector.replay.generations.change import Change
from projector.replay.lost import Starts, has_lost_events
from projector.store.calls import limited
from projector.store.keys import keys_of
from schemas.redis_layout import CARRIED, JOB, Pointer
from service.errors import CommandError


async def carry_over(change: Change, live: Pointer, target: Pointer, starts: Starts) -> int:
    """Join what the log has lost of the live generation into the target; return how many jobs."""
    sink = change.generation(target)
    carried = 0
    for bucket in range(live.buckets):
        async for keys in keys_of(change.redis, change.prefix, live.number, bucket, JOB):
            async with limited(), change.redis.pipeline(transaction=False) as pipeline:
                for key in keys:
                    pipeline.hgetall(key)
                hashes = await pipeline.execute()
            stored = [_stored(key, fields) for key, fields in zip(keys, hashes, strict=True) if fields]
            jobs = [job for job in stored if has_lost_events(job, starts)]
            for job in jobs:
                job.details.setdefault(CARRIED, f"g{live.number}")
            await sink.join(encode_jobs(jobs, target.buckets))
            carried += len(jobs)
    return carried


def _stored(key: bytes, fields: Mapping[bytes, bytes]) -> FoldedJob:
    """Return the job that a key holds; what is damaged would be carried on for ever, so it is refused."""
    try:
        return job_of({name.decode(): value.decode() for name, value in fields.items()})
    except ValueError as error:
        raise CommandError(
            f"the key {key.decode(errors='backslashreplace')} holds no job ({error}), so it cannot be told whether it "
            "has to be carried over: mend it by `python -m projector verify --repair`, or delete it"
        ) from error

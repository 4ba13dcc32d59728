"""Joining jobs into a generation that do not come from a stretch of the log, but from another one or an archive."""

from collections.abc import Iterable

from projector.fold.job import FoldedJob
from projector.store.apply import ApplyStep, EncodedJob, encode_job
from projector.store.generation import Generation
from schemas.identity import bucket_of, job_member
from service.redis import AnyRedis


async def join(redis: AnyRedis, generation: Generation, jobs: Iterable[FoldedJob]) -> None:
    """Join jobs that no ledger counts; positions stay."""
    step = ApplyStep(redis, generation.buckets)
    encoded: list[list[EncodedJob]] = [[] for _ in generation.buckets.numbers]
    for job in jobs:
        member = job_member(job.identity)
        encoded[bucket_of(member, len(encoded))].append(encode_job(member, job, {}))
    for bucket, of_bucket in enumerate(encoded):
        if of_bucket:
            await step(bucket, of_bucket, {})

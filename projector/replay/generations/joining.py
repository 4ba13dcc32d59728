"""Joining jobs into a generation that do not come from a stretch of the log, but from another one or an archive."""

from collections.abc import Iterable

from projector.fold.job import FoldedJob
from projector.store.apply import ApplyStep, EncodedJob, encode_job
from projector.store.generation import Generation
from schemas.identity import bucket_of, job_member
from schemas.refused_event import RefusedEvent
from service.redis import AnyRedis


async def join(redis: AnyRedis, generation: Generation, items: Iterable[FoldedJob | RefusedEvent]) -> None:
    """Join jobs, and refused events that name a job, which no ledger counts; positions stay."""
    step = ApplyStep(redis, generation.buckets)
    encoded: list[list[EncodedJob]] = [[] for _ in generation.buckets.numbers]
    refused: list[list[RefusedEvent]] = [[] for _ in encoded]
    for item in items:
        if isinstance(item, RefusedEvent):
            refused[bucket_of(item.member, len(encoded))].append(item)
        else:
            member = job_member(item.identity)
            encoded[bucket_of(member, len(encoded))].append(encode_job(member, item, {}))
    for bucket in generation.buckets.numbers:
        if encoded[bucket] or refused[bucket]:
            await step(bucket, step.pack(bucket, encoded[bucket], {}, refused=refused[bucket]), {})

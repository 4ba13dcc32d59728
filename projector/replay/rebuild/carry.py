"""Carrying over: what the log has lost of jobs is taken from the live generation, and marked so.

A job is carried when events of it may have been recorded before the place where the log begins now, and when it has
something that the fold of the log that is left does not give. Joining is all it takes: what the log still holds of the
job is joined in as well, in any order.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from projector.fold.job import FoldedJob
from projector.replay.generations.change import Change
from projector.replay.generations.joining import join
from projector.replay.lost import Starts, has_lost_events
from projector.replay.stored_jobs import stored_jobs, stored_refused
from projector.store.buckets import BUCKETS_AT_ONCE
from projector.store.calls import limited
from schemas.expiry import has_news_since
from schemas.identity import bucket_of, job_member
from schemas.job_hash import fields_in
from schemas.redis_layout import CARRIED, JOB, Pointer, bucket_prefix
from schemas.refused_event import RefusedEvent
from service.redis import read_hash

_IF_DAMAGED: Final = (
    "it cannot be told whether it must be carried over: mend it by `python -m projector verify --repair`, or delete it"
)


async def carry_over(change: Change, live: Pointer, target: Pointer, starts: Starts, cutoff: str) -> int:
    """Join what the log has lost of the live generation into the target, but for what is old; return how many jobs."""
    generation = change.generation(target)
    carried = 0
    async for stored in stored_jobs(change.redis, change.prefix, live, _IF_DAMAGED):
        lost = [job for _, job in stored if has_lost_events(job, starts)]
        jobs = [job for job in lost if has_news_since(cutoff, job.stages.values(), job.details.values())]
        jobs = await _what_adds(change, target, jobs)
        for job in jobs:
            job.details.setdefault(CARRIED, f"g{live.number}")
        await join(change.redis, generation, jobs)
        carried += len(jobs)
    async for refused in stored_refused(change.redis, change.prefix, live):
        await join(change.redis, generation, [event for event in refused if _is_lost(event, starts, cutoff)])
    return carried


def _is_lost(event: RefusedEvent, starts: Starts, cutoff: str) -> bool:
    """Tell whether a refused event is gone from the log, and is to be remembered nevertheless."""
    partition, _, offset = event.record.rpartition("/")
    return int(offset) < starts.get(partition, 0) and event.letter.time >= cutoff


async def _what_adds(change: Change, target: Pointer, jobs: Sequence[FoldedJob]) -> list[FoldedJob]:
    """Return the jobs that have something which the target lacks."""
    at_once = asyncio.Semaphore(BUCKETS_AT_ONCE)

    async def known(job: FoldedJob) -> Mapping[bytes, bytes]:
        member = job_member(job.identity)
        base = bucket_prefix(change.prefix, target.number, bucket_of(member, target.buckets))
        async with at_once, limited():
            return await read_hash(change.redis, base + JOB + member)

    found = await asyncio.gather(*map(known, jobs))
    return [job for job, stored in zip(jobs, found, strict=True) if _adds(job, _registers_in(stored))]


def _registers_in(stored: Mapping[bytes, bytes]) -> Mapping[str, str]:
    return fields_in({name.decode(): text.decode(errors="surrogateescape") for name, text in stored.items()})


def _adds(job: FoldedJob, fields: Mapping[str, str]) -> bool:
    """Tell whether a job would change what is stored of it: of a stage the smaller counts, of a detail the greater."""

    def lacks(name: str, register: str, *, smaller: bool) -> bool:
        stored = fields.get(name)
        if stored is None:
            return True
        return register < stored if smaller else register > stored

    return any(lacks(name, register, smaller=True) for name, register in job.stages.items()) or any(
        lacks(name, register, smaller=False) for name, register in job.details.items()
    )

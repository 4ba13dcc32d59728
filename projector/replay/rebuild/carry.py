"""Carrying over: jobs whose events the log has lost are taken from the live generation, and marked so.

A job is carried when one of its stages was recorded before the place where the log begins now. Joining is all it
takes: what the log still holds of the job is joined in as well, in any order.
"""

from typing import Final

from projector.replay.generations.change import Change
from projector.replay.generations.joining import join
from projector.replay.lost import Starts, has_lost_events
from projector.replay.stored_jobs import stored_jobs
from schemas.expiry import has_news_since
from schemas.redis_layout import CARRIED, Pointer

_IF_DAMAGED: Final = (
    "it cannot be told whether it must be carried over: mend it by `python -m projector verify --repair`, or delete it"
)


async def carry_over(change: Change, live: Pointer, target: Pointer, starts: Starts, cutoff: str) -> int:
    """Join what the log has lost of the live generation into the target, but for old jobs; return how many jobs."""
    generation = change.generation(target)
    carried = 0
    async for stored in stored_jobs(change.redis, change.prefix, live, _IF_DAMAGED):
        lost = [job for _, job in stored if has_lost_events(job, starts)]
        jobs = [job for job in lost if has_news_since(cutoff, job.stages.values(), job.details.values())]
        for job in jobs:
            job.details.setdefault(CARRIED, f"g{live.number}")
        await join(change.redis, generation, jobs)
        carried += len(jobs)
    return carried

"""What Redis pays: its CPU for each event and its bytes for each job, beside the same jobs as plain hashes.

`python -m tests.bench.redis_cost` fills a Redis of its own (default settings) with typical jobs of five events, in
batches as full as the projector's, and prints what Redis says of it. Each event comes some records after the one before
of its job, so that a batch brings some jobs a part of their events and joins the rest later.
"""

import asyncio
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, Final
from uuid import UUID

import click

from projector.fold.batch import Batch
from projector.store.generation import Generation
from schemas.event_time import sortable_timestamp
from schemas.identity import JobIdentity
from schemas.job_event import JobEvent
from schemas.lifecycle import STAGES
from schemas.redis_layout import Pointer
from tests.support.redis_process import RedisProcess, client_of
from tests.support.seeding import PARTITION, TOPIC, Projection

RECORDS_BETWEEN: Final = 200
PLAIN_BATCH_RECORDS: Final = 500
OWNERS: Final = 1000
BEGAN_MILLISECONDS: Final = 1_700_000_000_000
STAGE_MILLISECONDS: Final = 61_234


@dataclass(frozen=True)
class Cost:
    """What Redis says it has spent."""

    cpu_seconds: float
    script_seconds: float
    scripts: int
    bytes: int

    @classmethod
    async def of(cls, redis: Any) -> "Cost":
        """Ask Redis."""
        cpu, memory, calls = [await redis.info(section) for section in ("cpu", "memory", "commandstats")]
        script = calls.get("cmdstat_evalsha", {"usec": 0, "calls": 0})
        return cls(
            cpu["used_cpu_user"] + cpu["used_cpu_sys"], script["usec"] / 1e6, script["calls"], memory["used_memory"]
        )


def typical_events(jobs: int) -> Iterator[JobEvent]:
    """Yield the events of typical jobs, in the order of the log."""
    random = Random(1)
    places = sorted(
        (job * len(STAGES) + at * RECORDS_BETWEEN, job, at) for job in range(jobs) for at in range(len(STAGES))
    )
    identities = [
        JobIdentity(f"0x{job % OWNERS:040x}", f"0x{random.getrandbits(256):064x}", _uuid(random), 1)
        for job in range(jobs)
    ]
    for place, job, at in places:
        time = sortable_timestamp(BEGAN_MILLISECONDS + place + at * STAGE_MILLISECONDS)
        source = f"/clusters/eu-1/workers/gpu-{job % 64:04d}"
        yield JobEvent(identities[job], STAGES[at], time, source, _uuid(random), _details(identities[job].job_id, at))


def batches(jobs: int) -> Iterator[list[JobEvent]]:
    """Yield the events of typical jobs in portions."""
    events = typical_events(jobs)
    while batch := list(islice(events, PLAIN_BATCH_RECORDS)):
        yield batch


def _uuid(random: Random) -> str:
    return str(UUID(int=random.getrandbits(128), version=4))


def _details(job: str, at: int) -> dict[str, Any]:
    logs = f"https://logs.example.net/jobs/{job}"
    if at == 1:
        return {"configlogURL": f"{logs}/config.log"}
    if at == len(STAGES) - 2:
        return {"publishlogURL": f"{logs}/publish.log", "algologURL": f"{logs}/algorithm.log"}
    return {"outputsURL": [f"{logs}/output-0"], "outcome": "succeeded"} if at == len(STAGES) - 1 else {}


async def fill(redis: Any, jobs: int) -> None:
    """Apply all events as the projector does."""
    projection = Projection(redis, "cost")
    await projection.begin()
    generation = Generation(redis, "cost", Pointer(1, 1, 1, "cluster", TOPIC, (projection.incarnation,)))
    for batch in folded(jobs):
        await generation.apply(batch)


def folded(jobs: int) -> Iterator[Batch]:
    """Yield the events of typical jobs in batches as full as the projector's."""
    batch = Batch()
    for offset, event in enumerate(typical_events(jobs)):
        index, span = batch.span_of(PARTITION, offset, (offset,))
        batch.add(event, index, f"{PARTITION}/{offset}")
        batch.records += 1
        span.next, span.records = offset + 1, batch.records
        if batch.is_full:
            yield batch
            batch = Batch()
    if batch.records:
        yield batch


async def fill_plainly(redis: Any, jobs: int) -> None:
    """Store the latest state alone: a hash for each job and three sets that point to it."""
    for events in batches(jobs):
        async with redis.pipeline(transaction=False) as pipeline:
            for identity, stage, time, _, _, details in events:
                key = f"job:{identity.job_id}"
                values = {name: str(value) for name, value in details.items()}
                stored = dict(zip(identity._fields, map(str, identity), strict=True))
                pipeline.hset(key, mapping=stored | {"status": str(stage.code), stage.name: time} | values)
                for field in identity._fields[:3]:
                    pipeline.sadd(f"{field}:{stored[field]}", identity.job_id)
            await pipeline.execute()


async def measure(url: str, jobs: int, way: Any) -> str:
    """Fill an empty Redis one way; return what it cost."""
    async with client_of(url) as redis:
        await redis.flushall()
        await redis.config_resetstat()
        before = await Cost.of(redis)
        await way(redis, jobs)
        after = await Cost.of(redis)
    events = jobs * len(STAGES)
    cpu, size = (after.cpu_seconds - before.cpu_seconds) / events, (after.bytes - before.bytes) / jobs
    line = f"{cpu * 1e6:6.2f} us/event  {size:7,.0f} bytes/job"
    if after.scripts:
        line += f"  {after.script_seconds / after.scripts * 1e3:.2f} ms/script"
    return line


@click.command()
@click.option("--jobs", default=100_000, show_default=True, help="Jobs of five events each.")
def main(jobs: int) -> None:
    """Measure and print what Redis pays for the projection, and for plain hashes."""
    with tempfile.TemporaryDirectory() as directory, RedisProcess(Path(directory)) as server:
        for name, way in (("plain hashes", fill_plainly), ("projection", fill)):
            click.echo(f"{name:14} {asyncio.run(measure(server.url, jobs, way))}")


if __name__ == "__main__":
    sys.exit(main())

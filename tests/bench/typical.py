"""Typical jobs: their events in the order of a log, and how they are applied as the projector does, without a log."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from random import Random
from typing import Any, Final, Self
from uuid import UUID

from projector.fold.batch import Batch
from projector.store.generation import Generation
from schemas.event_time import sortable_timestamp
from schemas.identity import JobIdentity
from schemas.job_event import JobEvent
from schemas.lifecycle import STAGES
from schemas.redis_layout import Pointer
from tests.support.seeding import PARTITION, TOPIC, Projection

RECORDS_BETWEEN: Final = 200
PORTION_EVENTS: Final = 500
OWNERS: Final = 1000
BEGAN_MILLISECONDS: Final = 1_700_000_000_000
STAGE_MILLISECONDS: Final = 61_234
PREFIX: Final = "typical"


def typical_jobs(jobs: int, owner_of: Callable[[int], int] = lambda job: job % OWNERS) -> list[JobIdentity]:
    """Return the identities of typical jobs; the same each time."""
    random = Random(1)
    return [
        JobIdentity(f"0x{owner_of(job):040x}", f"0x{random.getrandbits(256):064x}", _uuid(random), 1)
        for job in range(jobs)
    ]


def typical_events(identities: Sequence[JobIdentity], stages: Sequence[int] = range(len(STAGES))) -> Iterator[JobEvent]:
    """Yield the events of typical jobs, in the order of the log: each some records after the one before of its job."""
    random = Random(2)
    places = sorted(
        (job * len(stages) + at * RECORDS_BETWEEN, job, at) for job in range(len(identities)) for at in stages
    )
    for place, job, at in places:
        time = sortable_timestamp(BEGAN_MILLISECONDS + place + at * STAGE_MILLISECONDS)
        source = f"/clusters/eu-1/workers/gpu-{job % 64:04d}"
        yield JobEvent(identities[job], STAGES[at], time, source, _uuid(random), _details(identities[job].job_id, at))


def portions(events: Iterable[JobEvent]) -> Iterator[list[JobEvent]]:
    """Yield events in portions."""
    remaining = iter(events)
    while portion := list(islice(remaining, PORTION_EVENTS)):
        yield portion


class Filling:
    """Applies events to an empty Redis."""

    def __init__(self, generation: Generation) -> None:
        self._generation = generation
        self._next = 0

    @classmethod
    async def begun(cls, redis: Any) -> Self:
        """Begin a projection."""
        projection = Projection(redis, PREFIX)
        await projection.begin()
        pointer = Pointer(1, 1, 1, "cluster", TOPIC, (projection.incarnation,))
        return cls(Generation(redis, PREFIX, pointer))

    async def apply(self, events: Iterable[JobEvent]) -> None:
        """Apply events, in batches as full as the projector's."""
        batch = Batch()
        for event in events:
            index, span = batch.span_of(PARTITION, self._next, (self._next,))
            batch.add(event, index, f"{PARTITION}/{self._next}")
            batch.records += 1
            self._next += 1
            span.next, span.records = self._next, batch.records
            if batch.is_full:
                await self._generation.apply(batch)
                batch = Batch()
        if batch.records:
            await self._generation.apply(batch)


def _uuid(random: Random) -> str:
    return str(UUID(int=random.getrandbits(128), version=4))


def _details(job: str, at: int) -> dict[str, Any]:
    logs = f"https://logs.example.net/jobs/{job}"
    if at == 1:
        return {"configlogURL": f"{logs}/config.log"}
    if at == len(STAGES) - 2:
        return {"publishlogURL": f"{logs}/publish.log", "algologURL": f"{logs}/algorithm.log"}
    return {"outputsURL": [f"{logs}/output-0"], "outcome": "succeeded"} if at == len(STAGES) - 1 else {}

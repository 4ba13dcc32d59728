"""A projection that is written by the projector's own step, without a log."""

import time
from typing import Any

from redis.asyncio import Redis

from projector.expiry.walk import Mode, OldJobs
from projector.fold.batch import Batch
from projector.store.live import Live
from schemas.decode import decode
from schemas.registers import record_text
from tests.support.events import event, record
from tests.support.opening import LOG, known

PARTITION = "t/0"
# Than all that is reported.
LATER = "9999-01-01T00:00:00.000000"


class Applying:
    """Applies events to a projection as they come."""

    def __init__(self, redis: Redis, prefix: str, *, buckets: int = 1) -> None:
        self.redis = redis
        self.prefix = prefix
        self.live = Live(redis, prefix, LOG, buckets=buckets)
        self.position = 0
        # How long before they are applied events are recorded.
        self.late_seconds = 0.0

    async def open(self) -> None:
        """Open the projection, which is begun where it is not there, and say that nothing is missing."""
        await self.live.open(known({PARTITION: 0}))
        standing = (await self.live.generation.standings([PARTITION]))[PARTITION]
        self.position = min(standing.next)
        await self.beat()

    async def apply(self, *events: dict[str, Any]) -> None:
        """Apply events as one batch, and say that nothing is missing after them."""
        batch = Batch()
        buckets = self.live.generation.pointer.buckets
        index, span = batch.span_of(PARTITION, self.position, (self.position,) * buckets)
        recorded = int((time.time() - self.late_seconds) * 1000)
        for offset, item in enumerate(events, self.position):
            one = record(offset, item)
            found = decode(one.value, one.headers, one.timestamp)
            batch.add(found, index, record_text(PARTITION, offset, found.time, recorded))
        span.records += len(events)
        self.position += len(events)
        span.next = self.position
        await self.live.apply(batch)
        await self.beat()

    async def report(self, stage: str, job: str = "3333", **data: Any) -> None:
        """Apply the event of a stage."""
        await self.apply(event(stage, job=job, event_id=f"{job}-{stage}-{data.get('attempt', 1)}", **data))

    async def beat(self, ahead: int = 0) -> None:
        """Confirm how far the log goes: as far as is applied, and so many events further."""
        heartbeats = self.live.generation.heartbeats
        await heartbeats.beat({PARTITION: self.position + ahead}, await heartbeats.clocks())

    async def collect(self) -> int:
        """Let all jobs go; return how many there were."""
        steps = OldJobs(self.redis, self.prefix, self.live.generation.pointer).steps(LATER, Mode.COLLECT)
        return sum([step.old async for step in steps if step])

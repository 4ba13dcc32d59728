"""Upkeep: regular duties beside the loop, one after the other in one task, each at an interval of its own."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from aiokafka.errors import KafkaError

from projector import cycles
from projector.assignment.assignment import Assignment
from projector.errors import DamagedBucketError, ProjectorError
from projector.heartbeat import Heartbeat
from projector.log.consumer import Log
from projector.log.retention import RetentionWatch
from projector.metrics import Metrics
from projector.projector import Projector
from projector.store.live import Live
from projector.store.memory import EvictionWatch

TURN_SECONDS: Final = 1.0
COMMIT_TIMEOUT_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Duty:
    """Something to do again every so many turns."""

    turns: int
    do: Callable[[], Awaitable[None]]


async def keep_up(duties: Sequence[Duty]) -> None:
    """Do duties for ever, in their order; what one raises ends it."""
    for turn in count(1):
        await asyncio.sleep(TURN_SECONDS)
        for duty in duties:
            if turn % duty.turns == 0:
                await duty.do()


async def commit(log: Log, assignment: Assignment) -> None:
    """Tell Kafka our positions, for tools that show lag; it does not matter when this fails."""
    positions = {item: partition.applied for item, partition in assignment.partitions.items()}
    with contextlib.suppress(KafkaError, TimeoutError):
        async with asyncio.timeout(COMMIT_TIMEOUT_SECONDS):
            await log.commit(positions)


async def look_for_damage(store: Live, projector: Projector) -> None:
    """Have the projector mend what is damaged beside the jobs; the next time will do when this fails."""
    with contextlib.suppress(ProjectorError):
        buckets = store.generation.buckets
        try:
            await buckets.each(buckets.find)
        except DamagedBucketError as error:
            projector.interrupt(error)


async def account(store: Live, projector: Projector, metrics: Metrics) -> None:
    """Show the ledgers in the metrics; the next time will do when this fails."""
    with contextlib.suppress(ProjectorError):
        try:
            for name, ledger in (await store.generation.ledgers()).items():
                metrics.show(name, ledger)
        except DamagedBucketError as error:
            projector.interrupt(error)


async def look_for_eviction(watch: EvictionWatch, metrics: Metrics) -> None:
    """Find out whether Redis may drop keys, or has."""
    await watch.look()
    metrics.evicted_keys.keys = watch.evicted_keys


async def show_retention(watch: RetentionWatch, metrics: Metrics) -> None:
    """Show in the metrics whether Kafka may remove events of the log."""
    metrics.log_not_kept.set(watch.trouble is not None)


async def free_cycles() -> None:
    """Have Python free what only reference cycles keep in memory."""
    cycles.free()


async def show_heartbeat(heartbeat: Heartbeat, metrics: Metrics) -> None:
    """Show in the metrics when all was last confirmed."""
    if heartbeat.trouble is None:
        metrics.confirmed.set_to_current_time()


async def show_positions(assignment: Assignment, metrics: Metrics) -> None:
    """Show in the metrics where our partitions stand, and no more where those stand that were ours."""
    metrics.forget_lags()
    metrics.position.clear()
    for partition in assignment.partitions.values():
        metrics.show_lag(partition.name, partition.lag)
        metrics.position.labels(partition.name).set(partition.applied)
    for name in assignment.unled:
        metrics.show_lag(name, None)
    holds = [partition.hold for partition in assignment.partitions.values() if partition.hold]
    metrics.show_held(hold.code for hold in (*holds, *assignment.unled.values()))
    metrics.blocked.set(sum(partition.is_blocked for partition in assignment.partitions.values()))

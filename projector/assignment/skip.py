"""The command that passes over events which are gone or cannot be read: `python -m projector skip`."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from projector.assignment.gaps import Gap, pass_over
from projector.letters.headers import Decision
from projector.letters.writer import DeadLetterWriter, new_producer
from projector.log.consumer import LogRange, partition_ranges
from projector.log.topics import cluster_of, require_topics
from projector.settings import ProjectorSettings
from projector.store.catalog import Catalog
from projector.store.generation import Generation
from projector.store.live import Live, LogIdentity
from schemas.redis_layout import partition_name
from service.errors import CommandError, StoppedError
from service.kafka import start_client
from service.redis import AnyRedis


async def skip(settings: ProjectorSettings, redis: AnyRedis, partition: int | None, to: int | None) -> list[Gap]:
    """Move a partition to the offset `to`, or every partition (or that one) to the start of the log.

    Raises CommandError when there is nothing to skip or the offset is not in the log, ServiceUnavailableError or
    ProjectorError when Kafka or Redis refuses, and StoppedError, which tells what was passed over, when told to end.
    """
    await require_topics(settings)
    ranges = await partition_ranges(settings)

    async def ends() -> dict[str, int]:
        return {name: held.end for name, held in ranges.items()}

    store = Live(redis, settings.redis_prefix, LogIdentity(await cluster_of(settings), settings.kafka_topic))
    await store.open(ends)
    chosen = ranges if partition is None else _only(ranges, partition_name(settings.kafka_topic, partition))
    gaps = [gap for name, held in chosen.items() if (gap := await _plan(store.generation, name, held, to))]
    if not gaps:
        raise CommandError("nothing to skip: every position is at or beyond that offset")
    catalog = Catalog(redis, settings.redis_prefix)
    passed: list[Gap] = []
    async with _letters(settings) as letters:
        for gap in gaps:
            try:
                await pass_over(gap, store.generation, catalog, letters, Decision.COMMAND)
            except asyncio.CancelledError:
                raise _stopped(passed, gap) from None
            passed.append(gap)
    return gaps


def _stopped(passed: Sequence[Gap], gap: Gap) -> StoppedError:
    """Return what is left by who was told to end in the middle of a gap: each of its steps is a right state."""
    done = "; ".join(map(str, passed)) or "nothing was skipped before that"
    return StoppedError(
        f"stopped at {gap.partition}: {done}; whether offsets {gap.start} to {gap.to - 1} of {gap.partition} are "
        "skipped is told by `python -m projector doctor`, and the same command goes on"
    )


def _only(ranges: dict[str, LogRange], name: str) -> dict[str, LogRange]:
    if name not in ranges:
        raise CommandError(f"there is no partition {name}")
    return {name: ranges[name]}


async def _plan(generation: Generation, name: str, held: LogRange, to: int | None) -> Gap | None:
    target = held.start if to is None else to
    if target > held.end:
        raise CommandError(f"the log of {name} ends at {held.end}, before {target}")
    position = min((await generation.standings([name]))[name].next)
    return Gap(name, position, target) if position < target else None


@asynccontextmanager
async def _letters(settings: ProjectorSettings) -> AsyncIterator[DeadLetterWriter]:
    producer = new_producer(settings)
    await start_client(producer, settings)
    letters = DeadLetterWriter(producer, settings.dead_letter_topic)
    try:
        yield letters
    finally:
        await letters.stop()

"""Skipping: moving a partition's position past events that are gone or cannot be read, by a person's decision.

The decision is a command, or beforehand the setting KAFKA_ACCEPT_TRUNCATED_LOG. A letter with the range is written
first, and the range is noted for later folds of the log; then the position moves in one step in every bucket, only from
where it stood, and the ledger counts the range as dead-lettered. A projector that holds the partition notices and goes
on.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum

from aiokafka.errors import KafkaError

from projector.command_errors import as_command_errors
from projector.errors import DeadLetterError
from projector.fold.batch import Batch
from projector.letters.writer import HEADER_PREFIX, STAGE, DeadLetterWriter, Headers, new_producer
from projector.log.consumer import LogRange, partition_ranges
from projector.settings import ProjectorSettings
from projector.startup import cluster_of, require_redis, require_topics
from projector.store.catalog import Catalog
from projector.store.generation import Generation
from projector.store.live import LogIdentity, Store
from schemas.redis_layout import partition_name
from service.errors import CommandError
from service.kafka import start_client
from service.redis import AnyRedis, connect


class Decision(Enum):
    """Who decided to pass something over: the letter's reason code, and what its message says of the offsets."""

    COMMAND = "skipped-by-command", "were skipped by command"
    SETTING = "gone-from-log", "are gone from the log, which KAFKA_ACCEPT_TRUNCATED_LOG accepts"

    def __init__(self, reason: str, what: str) -> None:
        self.reason, self.what = reason, what


@dataclass(frozen=True, slots=True)
class Skipped:
    """What was passed over in one partition: offsets from `start` up to, not including, `to`."""

    partition: str
    start: int
    to: int

    def __str__(self) -> str:
        """Return the sentence for people."""
        return f"{self.partition}: skipped {self.to - self.start} offsets, {self.start} to {self.to - 1}"


@dataclass(frozen=True, slots=True)
class Skipping:
    """Passes over ranges of the log, each with a letter and a note."""

    store: Generation
    catalog: Catalog
    letters: DeadLetterWriter
    decision: Decision

    async def pass_over(self, item: Skipped) -> None:
        """Pass over a range; raises DeadLetterError when its letter is not acknowledged."""
        try:
            await self.letters.write(None, None, self._headers(item))
        except (KafkaError, TimeoutError) as error:
            raise DeadLetterError(frozenset({item.partition}), error) from error
        await self.catalog.note_skipped(item.partition, item.start, item.to)
        await pass_over(self.store, item)

    def _headers(self, item: Skipped) -> Headers:
        topic, _, number = item.partition.rpartition("/")
        about = {
            "topic": topic,
            "partition": number,
            "offset": str(item.start),
            "stage": STAGE,
            "exception.class.name": self.decision.reason,
            "exception.message": f"offsets {item.start} to {item.to - 1} {self.decision.what}",
        }
        return [(HEADER_PREFIX + name, text.encode()) for name, text in about.items()]


async def skip(settings: ProjectorSettings, partition: int | None, to: int | None) -> list[Skipped]:
    """Move a partition to the offset `to`, or every partition (or that one) to the start of the log.

    Raises CommandError when there is nothing to skip or the offset is not in the log, ServiceUnavailableError when
    Kafka or Redis refuses.
    """
    await require_topics(settings)
    redis = connect(settings)
    try:
        await require_redis(redis, settings)
        with as_command_errors(settings):
            return await _skip(settings, redis, partition, to)
    finally:
        await redis.aclose()


async def _skip(settings: ProjectorSettings, redis: AnyRedis, partition: int | None, to: int | None) -> list[Skipped]:
    ranges = await partition_ranges(settings)
    store = Store(redis, settings.redis_prefix, LogIdentity(await cluster_of(settings), settings.kafka_topic))
    await store.open({name: held.end for name, held in ranges.items()})
    chosen = ranges if partition is None else _only(ranges, partition_name(settings.kafka_topic, partition))
    skipped = [item for name, held in chosen.items() if (item := await _plan(store, name, held, to))]
    if not skipped:
        raise CommandError("nothing to skip: every position is at or beyond that offset")
    catalog = Catalog(redis, settings.redis_prefix)
    async with _letters(settings) as letters:
        skipping = Skipping(store, catalog, letters, Decision.COMMAND)
        for item in skipped:
            await skipping.pass_over(item)
    return skipped


def _only(ranges: dict[str, LogRange], name: str) -> dict[str, LogRange]:
    if name not in ranges:
        raise CommandError(f"there is no partition {name}")
    return {name: ranges[name]}


async def _plan(store: Store, name: str, held: LogRange, to: int | None) -> Skipped | None:
    target = held.start if to is None else to
    if target > held.end:
        raise CommandError(f"the log of {name} ends at {held.end}, before {target}")
    position = min((await store.standings([name]))[name].next)
    return Skipped(name, position, target) if position < target else None


async def pass_over(store: Generation, skipped: Skipped) -> None:
    """Move every bucket; one that already stands further than the others is reached in steps."""
    while True:
        standing = (await store.standings([skipped.partition]))[skipped.partition].next
        start = min(standing)
        if start >= skipped.to:
            return
        batch = Batch()
        _, span = batch.span_of(skipped.partition, start)
        span.next = min([skipped.to, *(position for position in standing if position > start)])
        span.records = span.dead_letters = span.next - start
        await store.apply(batch, {skipped.partition: standing})


@asynccontextmanager
async def _letters(settings: ProjectorSettings) -> AsyncIterator[DeadLetterWriter]:
    producer = new_producer(settings)
    await start_client(producer, settings)
    letters = DeadLetterWriter(producer, settings.dead_letter_topic)
    try:
        yield letters
    finally:
        await letters.stop()

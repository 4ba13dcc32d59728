"""Reading a topic to its end, straight from the broker."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.torture.system.limits import TooLongError, stopped, within

POLL_MILLISECONDS: Final = 200
STEP_SECONDS: Final = 30.0
# Nothing new for so long, though the end is not reached.
SILENT_SECONDS: Final = 60.0


async def records(
    bootstrap_servers: str, topic: str, ends: Mapping[int, int], positions: Mapping[int, int]
) -> AsyncIterator[Any]:
    """Yield every committed record of a topic from the positions (0 where none is given) to these ends."""
    async with _consumer(bootstrap_servers, "read_committed") as consumer:
        at = {TopicPartition(topic, number): positions.get(number, 0) for number in ends}
        consumer.assign(list(at))
        for item, offset in at.items():
            consumer.seek(item, offset)
        silent = 0
        while behind := [item for item in at if at[item] < ends[item.partition]]:
            polled = await within(STEP_SECONDS, f"records of {behind}", consumer.getmany(timeout_ms=POLL_MILLISECONDS))
            for some in polled.values():
                for record in some:
                    if record.offset < ends[record.partition]:
                        yield record
            # Beyond the markers of transactions too, which nobody is given.
            now = {item: await within(STEP_SECONDS, f"position of {item}", consumer.position(item)) for item in at}
            silent = silent + 1 if now == at else 0
            at = now
            if silent * POLL_MILLISECONDS > SILENT_SECONDS * 1000:
                raise TooLongError(f"nothing from {behind} for {SILENT_SECONDS:.0f} s")


async def log_ends(bootstrap_servers: str, topic: str, partitions: int, *, committed: bool = False) -> dict[int, int]:
    """Return the end of every partition of a topic, or where its first open transaction begins."""
    async with _consumer(bootstrap_servers, "read_committed" if committed else "read_uncommitted") as consumer:
        items = [TopicPartition(topic, number) for number in range(partitions)]
        consumer.assign(items)
        ends = await within(STEP_SECONDS, f"ends of {topic}", consumer.end_offsets(items))
        return {item.partition: end for item, end in ends.items()}


async def topic_exists(bootstrap_servers: str, topic: str) -> bool:
    """Tell whether the broker knows a topic."""
    async with _consumer(bootstrap_servers, "read_uncommitted") as consumer:
        return topic in await within(STEP_SECONDS, "the topics", consumer.topics())


@asynccontextmanager
async def _consumer(bootstrap_servers: str, isolation_level: str) -> AsyncIterator[Any]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers, auto_offset_reset="none", isolation_level=isolation_level
    )
    try:
        await within(STEP_SECONDS, "a consumer", consumer.start())
        yield consumer
    finally:
        await stopped("a consumer", consumer.stop())

"""Reading a topic to its end, straight from the broker."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

POLL_MILLISECONDS: Final = 200


async def records(
    bootstrap_servers: str, topic: str, partitions: int, positions: Mapping[int, int]
) -> AsyncIterator[Any]:
    """Yield every record of a topic from the positions (0 where none is given) to its end as it is now."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, auto_offset_reset="none")
    await consumer.start()
    try:
        items = [TopicPartition(topic, number) for number in range(partitions)]
        consumer.assign(items)
        ends = await consumer.end_offsets(items)
        at = {item: positions.get(item.partition, 0) for item in items}
        for item, offset in at.items():
            consumer.seek(item, offset)
        while any(at[item] < ends[item] for item in items):
            for item, polled in (await consumer.getmany(timeout_ms=POLL_MILLISECONDS)).items():
                for record in polled:
                    yield record
                at[item] = polled[-1].offset + 1
    finally:
        await consumer.stop()


async def log_ends(bootstrap_servers: str, topic: str, partitions: int) -> dict[int, int]:
    """Return the end of every partition of a topic."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers)
    await consumer.start()
    try:
        items = [TopicPartition(topic, number) for number in range(partitions)]
        consumer.assign(items)
        return {item.partition: end for item, end in (await consumer.end_offsets(items)).items()}
    finally:
        await consumer.stop()

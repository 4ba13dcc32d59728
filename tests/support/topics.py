"""Topics of a test's own, and what an administrator does to them."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete

from tests.support.deployment import Deployment

PARTITIONS = 3
CONTROLLER_SECONDS = 20


async def admin(deployment: Deployment) -> AIOKafkaAdminClient:
    """Return a started admin client."""
    client = AIOKafkaAdminClient(bootstrap_servers=deployment.services.kafka_bootstrap_servers)
    await client.start()
    return client


async def delete_records(deployment: Deployment, partition: int, before: int) -> None:
    """Delete the records of a partition below an offset, as retention does."""
    client = await admin(deployment)
    try:
        await client.delete_records(
            {TopicPartition(deployment.topic, partition): RecordsToDelete(before_offset=before)}
        )
    finally:
        await client.close()


async def create_topic(address: str, name: str, settings: Mapping[str, str] | None = None) -> None:
    """Create a topic of the Kafka at an address, with settings if any."""
    async with _admin_of(address) as client:
        config = {"message.timestamp.type": "LogAppendTime", **(settings or {})}
        response = await client.create_topics([NewTopic(name, PARTITIONS, 1, topic_configs=config)])
        assert response.topic_errors[0][1] == 0, response


async def read_topic(address: str, name: str) -> Sequence[Any]:
    """Return every record of such a topic, partition by partition."""
    partitions = [TopicPartition(name, number) for number in range(PARTITIONS)]
    consumer = AIOKafkaConsumer(bootstrap_servers=address, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        records: list[Any] = []
        for partition in partitions:
            while await consumer.position(partition) < ends[partition]:
                records += (await consumer.getmany(partition, timeout_ms=500)).get(partition, [])
        return records
    finally:
        await consumer.stop()


@asynccontextmanager
async def _admin_of(address: str) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=address)
    await client.start()
    try:
        async with asyncio.timeout(CONTROLLER_SECONDS):
            while client._client.cluster.controller is None:  # noqa: SLF001 - a broker that has just begun names none
                await client._client.force_metadata_update()  # noqa: SLF001
        yield client
    finally:
        await client.close()

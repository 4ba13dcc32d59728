"""The Kafka clients of this room."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Literal

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from operator_status.delivery.kafka_client import CLOSE_SECONDS, RETRY_BACKOFF_MILLISECONDS, topic_missing
from service.errors import ServiceUnavailableError
from service.kafka import admin_client, unreachable
from service.settings import KafkaSettings


@asynccontextmanager
async def new_consumer(
    settings: KafkaSettings, begin: Literal["earliest", "latest"]
) -> AsyncIterator[AIOKafkaConsumer]:
    """Yield a consumer of every partition of the topic, without a group, not started."""
    consumer = AIOKafkaConsumer(
        settings.kafka_topic,
        **settings.kafka_client_options(),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset=begin,
        retry_backoff_ms=RETRY_BACKOFF_MILLISECONDS,
    )
    try:
        yield consumer
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await consumer.stop()


async def require_topic(settings: KafkaSettings) -> None:
    """Return when Kafka has the topic; ServiceUnavailableError when it cannot be reached in time or has it not."""
    try:
        async with admin_client(settings) as admin:
            topics = await admin.list_topics()
    except KafkaError as error:
        raise ServiceUnavailableError(unreachable(settings, error)) from error
    if settings.kafka_topic not in topics:
        raise topic_missing(settings)

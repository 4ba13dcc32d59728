"""The one place that builds Kafka clients for workers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Literal

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from service.errors import ServiceUnavailableError
from service.kafka import REQUEST_TIMEOUT_MILLISECONDS, admin_client, unreachable
from service.settings import KafkaSettings
from worker.errors import TopicMissingError

RETRY_BACKOFF_MILLISECONDS: Final = 500
CLOSE_SECONDS: Final = 1.0


@asynccontextmanager
async def new_producer(settings: KafkaSettings, **options: Any) -> AsyncIterator[AIOKafkaProducer]:
    """Yield an idempotent producer that waits for every replica, not started; at the end it is closed at once.

    What it has not sent by then is lost: flush it before. (aiokafka's own `stop` waits for ever when Kafka is away,
    because an idempotent producer never gives a record up.)
    """
    producer = AIOKafkaProducer(
        **settings.kafka_client_options(),
        enable_idempotence=True,
        acks="all",
        compression_type="lz4",
        request_timeout_ms=REQUEST_TIMEOUT_MILLISECONDS,
        retry_backoff_ms=RETRY_BACKOFF_MILLISECONDS,
        **options,
    )
    try:
        yield producer
    finally:
        producer._closed = True  # noqa: SLF001 - else its finalizer complains
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):  # a frozen broker does not answer what is under way
                await producer._sender.close()  # noqa: SLF001 - there is no public way that does not wait
        await producer.client.close()


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


def topic_missing(settings: KafkaSettings) -> TopicMissingError:
    """Return the error for a Kafka that has no such topic."""
    return TopicMissingError(address=settings.kafka_bootstrap_servers, topic=settings.kafka_topic)

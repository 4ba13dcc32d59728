"""The one place that builds Kafka clients for reporters."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import InvalidMessageError, KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from operator_status.diagnosis.kafka import diagnose, sentence
from operator_status.errors import KafkaUnusableError, TopicMissingError
from operator_status.kafka_access import REQUEST_TIMEOUT_MILLISECONDS, KafkaAccess, quiet_connection_attempts

RETRY_BACKOFF_MILLISECONDS: Final = 500
CLOSE_SECONDS: Final = 1.0
# What Kafka says of a record that it will never take.
REFUSALS: Final = (MessageSizeTooLargeError, RecordListTooLargeError, InvalidMessageError)


@asynccontextmanager
async def new_producer(settings: KafkaAccess, **options: Any) -> AsyncIterator[AIOKafkaProducer]:
    """Yield an idempotent producer that waits for every replica, not started; at the end it is closed at once.

    What it has not sent by then is lost: flush it before. (aiokafka's own `stop` waits for ever when Kafka is away,
    because an idempotent producer never gives a record up.)
    """
    producer = AIOKafkaProducer(
        **settings.kafka_client_options(),
        enable_idempotence=True,
        acks="all",
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
async def connected_producer(settings: KafkaAccess) -> AsyncIterator[AIOKafkaProducer]:
    """Yield a started producer of a Kafka that has the topic.

    Raises TopicMissingError, and KafkaUnusableError, which names the cause that aiokafka keeps for itself; that also in
    place of an error of Kafka that ends the block.
    """
    async with new_producer(settings) as producer:
        try:
            with quiet_connection_attempts():
                await producer.start()
            # Asked for by its name, a missing topic would be waited for, or created with the broker's defaults.
            metadata = await producer.client.fetch_all_metadata()
        except (KafkaError, OSError) as error:
            raise await unusable(settings, error) from error
        if settings.kafka_topic not in metadata.topics():
            raise topic_missing(settings)
        try:
            yield producer
        except KafkaError as error:
            raise await unusable(settings, error) from error


async def unusable(settings: KafkaAccess, error: Exception) -> KafkaUnusableError:
    """Return the error that names the cause of another one."""
    with quiet_connection_attempts():
        fault = await diagnose(settings, error)
    return KafkaUnusableError(sentence(settings, fault), may_pass=fault.may_pass)


def topic_missing(settings: KafkaAccess) -> TopicMissingError:
    """Return the error for a Kafka that has no such topic."""
    return TopicMissingError(address=settings.kafka_bootstrap_servers, topic=settings.kafka_topic)

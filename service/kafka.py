"""Reaching Kafka: every client starts within a limit, or the process ends with a sentence that says what to do."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Protocol

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from service.errors import ServiceUnavailableError
from service.settings import KafkaSettings

REQUEST_TIMEOUT_MILLISECONDS = 10_000
_PAUSE_SECONDS = 0.5


class KafkaClient(Protocol):
    """What aiokafka's producer, consumer and admin client have in common."""

    async def start(self) -> None:
        """Connect."""


async def start_client(client: KafkaClient, settings: KafkaSettings) -> None:
    """Start a client, trying again until `start_timeout_seconds` have passed; then ServiceUnavailableError."""
    failure: Exception | None = None
    try:
        async with asyncio.timeout(settings.start_timeout_seconds):
            while True:
                try:
                    return await client.start()
                except (KafkaError, OSError) as error:
                    failure = error
                    if isinstance(error, KafkaError) and not error.retriable:
                        break
                    await asyncio.sleep(_PAUSE_SECONDS)
    except TimeoutError:
        pass
    raise ServiceUnavailableError(unreachable(settings, failure)) from failure


@asynccontextmanager
async def admin_client(settings: KafkaSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    """Yield a started admin client; ServiceUnavailableError when Kafka cannot be reached, or goes away meanwhile."""
    admin = AIOKafkaAdminClient(**settings.kafka_client_options(), request_timeout_ms=REQUEST_TIMEOUT_MILLISECONDS)
    try:
        with quiet_connection_attempts():
            await start_client(admin, settings)
        yield admin
    except KafkaError as error:
        raise ServiceUnavailableError(unreachable(settings, error)) from error
    finally:
        await admin.close()


@contextmanager
def quiet_connection_attempts() -> Iterator[None]:
    """Keep aiokafka from logging each failed attempt to connect; the sentence at the end says it once."""
    logger = logging.getLogger("aiokafka")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def unreachable(settings: KafkaSettings, error: Exception | None) -> str:
    """Return the sentence for a Kafka that does not answer."""
    cause = f" ({error})" if error else ""
    return (
        f"Kafka cannot be reached at {settings.kafka_bootstrap_servers}{cause}: start it, for example with "
        "`python -m devstack up`, or set KAFKA_BOOTSTRAP_SERVERS"
    )

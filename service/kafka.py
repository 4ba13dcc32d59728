"""Reaching Kafka: every client starts within a limit, or the process ends with a sentence that says what to do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from operator_status.diagnosis.fault import Fault
from operator_status.diagnosis.kafka import diagnose, sentence, told_by, untold
from operator_status.kafka_access import REQUEST_TIMEOUT_MILLISECONDS, quiet_connection_attempts
from service.errors import ServiceUnavailableError
from service.settings import KafkaSettings

__all__ = [
    "REQUEST_TIMEOUT_MILLISECONDS",
    "admin_client",
    "diagnosed",
    "quiet_connection_attempts",
    "start_client",
    "told_by",
    "unreachable",
    "why_unusable",
]

_PAUSE_SECONDS = 0.5


class KafkaClient(Protocol):
    """What aiokafka's producer, consumer and admin client have in common."""

    async def start(self) -> None:
        """Connect."""


async def start_client(client: KafkaClient, settings: KafkaSettings) -> None:
    """Start a client, trying again until `start_timeout_seconds` have passed; then ServiceUnavailableError.

    What waiting cannot mend, such as a wrong password, is told at once.
    """
    fault = failure = None
    try:
        async with asyncio.timeout(settings.start_timeout_seconds):
            while True:
                try:
                    return await client.start()
                except (KafkaError, OSError) as error:
                    failure = error
                    fault = await diagnosed(settings, error)
                    if not fault.may_pass:
                        break
                    await asyncio.sleep(_PAUSE_SECONDS)
    except TimeoutError:
        pass
    fault = fault or await diagnosed(settings, failure)
    raise ServiceUnavailableError(sentence(settings, fault)) from failure


@asynccontextmanager
async def admin_client(settings: KafkaSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    """Yield a started admin client; ServiceUnavailableError when Kafka cannot be reached, or goes away meanwhile."""
    admin = AIOKafkaAdminClient(**settings.kafka_client_options(), request_timeout_ms=REQUEST_TIMEOUT_MILLISECONDS)
    try:
        with quiet_connection_attempts():
            await start_client(admin, settings)
        yield admin
    except KafkaError as error:
        raise ServiceUnavailableError(await why_unusable(settings, error)) from error
    finally:
        await admin.close()


async def why_unusable(settings: KafkaSettings, error: Exception | None) -> str:
    """Return the sentence for a Kafka that cannot be used; brokers are asked when the error does not tell the cause."""
    return sentence(settings, await diagnosed(settings, error))


async def diagnosed(settings: KafkaSettings, error: Exception | None) -> Fault:
    """Return what an error of Kafka comes from."""
    with quiet_connection_attempts():
        return await diagnose(settings, error)


def unreachable(settings: KafkaSettings, error: Exception | None) -> str:
    """Return the sentence for a Kafka that cannot be used, as far as the error itself tells the cause."""
    return sentence(settings, told_by(settings, error) or untold(error))

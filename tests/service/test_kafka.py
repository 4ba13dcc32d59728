"""Starting a client of Kafka: tried again while it may help, and never for ever."""

import asyncio
import logging
import socket
from collections.abc import Iterator

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaError, TopicAuthorizationFailedError

from service.errors import ServiceUnavailableError
from service.kafka import admin_client, quiet_connection_attempts, start_client
from service.settings import KafkaSettings

SOON = KafkaSettings(start_timeout_seconds=0.2)


class FailingClient:
    """A client whose start fails with these errors, one after the other, and then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.starts = 0

    async def start(self) -> None:
        """Fail or succeed."""
        self.starts += 1
        if self.errors:
            raise self.errors.pop(0)


class HangingClient:
    """A client that never starts."""

    async def start(self) -> None:
        """Wait for ever."""
        await asyncio.Event().wait()


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port on which nobody listens, and nobody else can."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


async def test_a_start_is_tried_again() -> None:
    """A Kafka that is just starting is waited for."""
    client = FailingClient(KafkaConnectionError("refused"), OSError("reset"))
    await start_client(client, KafkaSettings(start_timeout_seconds=10))
    assert client.starts == 3


async def test_what_waiting_cannot_mend_is_told_at_once() -> None:
    """A refusal is told without waiting for the limit."""
    client = FailingClient(TopicAuthorizationFailedError("not yours"))
    with pytest.raises(ServiceUnavailableError, match="not yours"):
        await start_client(client, KafkaSettings(start_timeout_seconds=60))
    assert client.starts == 1


@pytest.mark.parametrize("client", [HangingClient(), FailingClient(*[KafkaConnectionError("refused")] * 1000)])
async def test_a_start_has_a_limit(client: FailingClient | HangingClient, closed_port: int) -> None:
    """A Kafka that does not answer in time is told with its address and what to do."""
    settings = SOON.model_copy(update={"kafka_bootstrap_servers": f"127.0.0.1:{closed_port}"})
    with pytest.raises(
        ServiceUnavailableError, match=rf"cannot be reached at 127\.0\.0\.1:{closed_port}.*start it, or set KAFKA"
    ):
        await start_client(client, settings)


async def test_nobody_at_the_address(closed_port: int, caplog: pytest.LogCaptureFixture) -> None:
    """A real client of a port where nobody listens ends in one sentence, without a log line for each attempt."""
    settings = KafkaSettings(kafka_bootstrap_servers=f"127.0.0.1:{closed_port}", start_timeout_seconds=0.2)
    with pytest.raises(ServiceUnavailableError, match=str(closed_port)):
        async with admin_client(settings):
            raise AssertionError("there is no Kafka")
    assert not caplog.records


def test_quiet_ends_with_an_error_too() -> None:
    """What aiokafka says is heard again after the attempts, however they end."""
    logger = logging.getLogger("aiokafka")
    before = logger.level
    levels = []

    def attempt() -> None:
        with quiet_connection_attempts():
            levels.append(logger.level)
            raise KafkaError

    with pytest.raises(KafkaError):
        attempt()
    assert (levels, logger.level) == ([logging.CRITICAL], before)

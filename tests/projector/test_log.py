"""The consumer of the log."""

import asyncio
import contextlib

import pytest
from aiokafka.errors import NoOffsetForPartitionError

from projector.log.consumer import Log
from projector.settings import ProjectorSettings
from service.errors import ServiceUnavailableError
from tests.support.deployment import Deployment


async def poll_for_ever(log: Log) -> None:
    """Poll until it fails."""
    while True:
        with contextlib.suppress(NoOffsetForPartitionError):
            await log.poll()


async def test_a_consumer_whose_group_membership_died_ends_the_process(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A member that met a broker which knew of no broker yet never recovers, so the process says so and ends.

    Found by `make torture` with seed 20261124.
    """
    settings = ProjectorSettings.load({"KAFKA_BOOTSTRAP_SERVERS": deployment.environment["KAFKA_BOOTSTRAP_SERVERS"]})
    log = Log(deployment.topic, "a-group", settings.kafka_client_options())
    await log.start()
    try:
        monkeypatch.setattr(log._consumer._client, "get_random_node", lambda: None)  # noqa: SLF001 - as after such a start
        await log.join()
        with pytest.raises(ServiceUnavailableError, match="start a new process"):
            await asyncio.wait_for(poll_for_ever(log), 10)
    finally:
        await log.stop()

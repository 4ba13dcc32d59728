"""Whether the log still keeps every event: somebody may change the topic's settings while the projector runs."""

import asyncio
from typing import Final

import structlog
from aiokafka.errors import KafkaError

from projector.log.topics import KEPT_FOR_EVER, topic_setting
from projector.settings import ProjectorSettings
from service.errors import ServiceUnavailableError
from service.kafka import admin_client

LOOK_SECONDS: Final = 60.0
LOOK_TIMEOUT_SECONDS: Final = 10.0

_log = structlog.get_logger(__name__)


class RetentionWatch:
    """Looks now and then whether Kafka may remove events of the log."""

    def __init__(self, settings: ProjectorSettings) -> None:
        self._settings = settings
        self.trouble: str | None = None

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Ask Kafka; the next time will do when it does not answer. What it does not tell this user is no trouble."""
        topic = self._settings.kafka_topic
        try:
            async with asyncio.timeout(LOOK_TIMEOUT_SECONDS), admin_client(self._settings) as admin:
                found = {name: await topic_setting(admin, topic, name) for name in KEPT_FOR_EVER}
        except (KafkaError, TimeoutError, ServiceUnavailableError):
            return
        differing = {name: value for name, value in found.items() if value not in (KEPT_FOR_EVER[name], None)}
        seen = ", ".join(f"{name}={value}" for name, value in differing.items())
        wanted = ", ".join(f"{name}={KEPT_FOR_EVER[name]}" for name in differing)
        trouble = f"Kafka may remove events of {topic} ({seen}): set {wanted} on the topic" if differing else None
        if trouble and trouble != self.trouble:
            _log.error("the log is not kept", detail=trouble)
        self.trouble = trouble

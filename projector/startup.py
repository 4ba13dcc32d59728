"""What must be true before the projector starts: the topics are there, Redis answers and never evicts."""

import asyncio
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

from projector.settings import ProjectorSettings
from projector.store.memory import Memory, read_memory, why_unsafe
from service.errors import ServiceUnavailableError
from service.kafka import admin_client
from service.redis import AnyRedis, address, unreachable

_PAUSE_SECONDS: Final = 0.5


async def require_topics(settings: ProjectorSettings) -> None:
    """Return when both topics exist and the log keeps every event; ServiceUnavailableError says what to do.

    Asked before any consumer starts: on a missing topic aiokafka tries for long and logs every attempt.
    """
    async with admin_client(settings) as admin:
        missing = await _missing_topics(admin, settings)
        if missing:
            raise ServiceUnavailableError(
                f"Kafka has no topic {' and no topic '.join(missing)}: create what is missing with "
                "`python -m projector topics create`"
            )
        policy = await topic_setting(admin, settings.kafka_topic, "cleanup.policy")
        if "compact" in policy:
            raise ServiceUnavailableError(
                f"the topic {settings.kafka_topic} is compacted (cleanup.policy={policy}), so Kafka removes events "
                "from it: set cleanup.policy=delete and retention.ms=-1"
            )


async def cluster_of(settings: ProjectorSettings) -> str:
    """Return the id of the Kafka cluster."""
    async with admin_client(settings) as admin:
        description = await admin.describe_cluster()
    return str(description["cluster_id"])


async def topic_setting(admin: AIOKafkaAdminClient, topic: str, name: str) -> str:
    """Return the value of a topic's setting."""
    responses = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    entries = [entry for response in responses for resource in response.resources for entry in resource[4]]
    return next(str(entry[1]) for entry in entries if entry[0] == name)


async def require_redis(redis: AnyRedis, settings: ProjectorSettings) -> Memory:
    """Return what Redis says of its memory once it answers, and is set never to drop keys.

    Raises ServiceUnavailableError, which says what to do.
    """
    memory = await _memory(redis, settings)
    if fault := why_unsafe(memory, address(settings)):
        raise ServiceUnavailableError(fault)
    return memory


async def _memory(redis: AnyRedis, settings: ProjectorSettings) -> Memory:
    failure: Exception | None = None
    try:
        async with asyncio.timeout(settings.start_timeout_seconds):
            while True:
                try:
                    return await read_memory(redis)
                except (AuthenticationError, NoPermissionError) as error:
                    raise ServiceUnavailableError(f"Redis at {address(settings)} refuses us: {error}") from error
                except (RedisError, OSError) as error:
                    failure = error
                await asyncio.sleep(_PAUSE_SECONDS)
    except TimeoutError:
        raise ServiceUnavailableError(unreachable(settings, failure)) from failure


async def _missing_topics(admin: AIOKafkaAdminClient, settings: ProjectorSettings) -> list[str]:
    existing = set(await admin.list_topics())
    return [topic for topic in (settings.kafka_topic, settings.dead_letter_topic) if topic not in existing]

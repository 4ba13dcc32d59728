"""The topics that the system needs, the log, kept for ever, and its dead letters; and the cluster that they are on."""

from collections.abc import Mapping
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, TopicAuthorizationFailedError, for_code

from projector.settings import ProjectorSettings
from service.errors import CommandError, ServiceUnavailableError
from service.kafka import admin_client

UNLIMITED: Final = "-1"
KEPT_FOR_EVER: Final = {"cleanup.policy": "delete", "retention.ms": UNLIMITED, "retention.bytes": UNLIMITED}
# Records get the broker's time, so that a worker's wrong clock cannot date them.
LOG_CONFIG: Final = {**KEPT_FOR_EVER, "message.timestamp.type": "LogAppendTime"}
# A batch of the log with one record, with our headers around it, has to fit: as it is compressed, and as it is.
MAX_LETTER_BYTES: Final = 2 * 1024 * 1024
LETTERS_CONFIG: Final = {**KEPT_FOR_EVER, "max.message.bytes": str(MAX_LETTER_BYTES)}


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
        if policy and "compact" in policy:
            raise ServiceUnavailableError(
                f"the topic {settings.kafka_topic} is compacted (cleanup.policy={policy}), so Kafka removes events "
                "from it: set cleanup.policy=delete and retention.ms=-1"
            )


async def _missing_topics(admin: AIOKafkaAdminClient, settings: ProjectorSettings) -> list[str]:
    existing = set(await admin.list_topics())
    return [topic for topic in (settings.kafka_topic, settings.dead_letter_topic) if topic not in existing]


async def cluster_of(settings: ProjectorSettings) -> str:
    """Return the id of the Kafka cluster."""
    async with admin_client(settings) as admin:
        description = await admin.describe_cluster()
    return str(description["cluster_id"])


async def topic_setting(admin: AIOKafkaAdminClient, topic: str, name: str) -> str | None:
    """Return the value of a topic's setting; None when this user may not see it."""
    responses = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    resources = [resource for response in responses for resource in response.resources]
    for code, message, *_ in resources:
        if code not in (0, TopicAuthorizationFailedError.errno):
            raise for_code(code)(message)
    return next((str(entry[1]) for resource in resources for entry in resource[4] if entry[0] == name), None)


async def create_topics(settings: ProjectorSettings, partitions: int, replicas: int) -> list[str]:
    """Create what is missing, and return a sentence for each topic.

    Existing topics stay as they are; a setting of theirs that would lose events is told.
    """
    wanted = {
        settings.kafka_topic: (partitions, LOG_CONFIG),
        settings.dead_letter_topic: (1, LETTERS_CONFIG),
    }
    sentences = []
    async with admin_client(settings) as admin:
        for topic, (count, config) in wanted.items():
            try:
                response = await admin.create_topics([NewTopic(topic, count, replicas, topic_configs=config)])
            except KafkaError as error:
                raise CommandError(f"the topic {topic} cannot be created: {error}") from error
            code, message = response.topic_errors[0][1:3]
            if code == TopicAlreadyExistsError.errno:
                differing = await _differing(admin, topic, config)
                sentences.append(f"{topic}: exists" + (f", but {differing}" if differing else ""))
            elif code:
                raise CommandError(f"the topic {topic} cannot be created: {message or for_code(code).__name__}")
            else:
                sentences.append(f"{topic}: created with {count} partition{'s' if count > 1 else ''}")
    return sentences


async def _differing(admin: AIOKafkaAdminClient, topic: str, config: Mapping[str, str]) -> str:
    """Return which settings of a topic differ from ours, as words."""
    differing = []
    for name, wanted in config.items():
        value = await topic_setting(admin, topic, name)
        if value not in (wanted, None):
            differing.append(f"{name} is {value}, {wanted} is wanted")
    return "; ".join(differing)

"""The topics that the system needs, the log, kept for ever, and its dead letters; and the cluster that they are on."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    KafkaError,
    KafkaTimeoutError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.metadata import MetadataRequest

from projector.settings import ProjectorSettings
from service.errors import CommandError, ServiceUnavailableError
from service.kafka import admin_client

DEFAULT_PARTITIONS: Final = 4
# Kafka makes at most 10,000 changes for one request, of which each partition is one: more of them are added in steps.
MOST_AT_ONCE: Final = 5_000
_PAUSE_SECONDS: Final = 0.2
UNLIMITED: Final = "-1"
KEPT_FOR_EVER: Final = {"cleanup.policy": "delete", "retention.ms": UNLIMITED, "retention.bytes": UNLIMITED}
# Records get the broker's time, so that a worker's wrong clock cannot date them.
LOG_CONFIG: Final = {**KEPT_FOR_EVER, "message.timestamp.type": "LogAppendTime"}
# A batch of the log with one record, with our headers around it, has to fit: as it is compressed, and as it is.
MAX_LETTER_BYTES: Final = 2 * 1024 * 1024
LETTERS_CONFIG: Final = {**KEPT_FOR_EVER, "max.message.bytes": str(MAX_LETTER_BYTES)}


async def require_topics(settings: ProjectorSettings, within_seconds: float = 0) -> None:
    """Return when both topics exist and the log keeps every event; ServiceUnavailableError says what to do.

    Asked before any consumer starts: on a missing topic aiokafka tries for long and logs every attempt. Topics created
    a moment ago are not known to every broker yet, so they are waited for, as long as the caller will.
    """
    async with admin_client(settings) as admin:
        missing = await _missing_topics(admin, settings)
        ends_at = monotonic() + within_seconds
        while missing and monotonic() < ends_at:
            await asyncio.sleep(_PAUSE_SECONDS)
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
    """Return which topics the broker asked does not know, or, of the log, not its settings."""
    existing = set(await admin.list_topics())
    missing = [topic for topic in (settings.kafka_topic, settings.dead_letter_topic) if topic not in existing]
    await check_not_hidden(admin, missing)
    return missing or [topic for topic in [settings.kafka_topic] if await _settings_of(admin, topic) == {}]


async def check_not_hidden(admin: AIOKafkaAdminClient, topics: Sequence[str]) -> None:
    """Raise TopicAuthorizationFailedError for a topic that this user may not see: it is in no list."""
    for topic in topics:
        request = MetadataRequest([topic], allow_auto_topic_creation=False)
        answer = await admin._send_request(request)  # noqa: SLF001 - the public way creates what is missing
        if answer.to_object()["topics"][0]["error_code"] == TopicAuthorizationFailedError.errno:
            raise TopicAuthorizationFailedError(topic)


async def require_group(settings: ProjectorSettings) -> None:
    """Return when this user may be in the consumer group; ServiceUnavailableError says which right is missing."""
    async with admin_client(settings) as admin:
        with suppress(GroupCoordinatorNotAvailableError, KafkaTimeoutError):  # its brokers are just starting
            await admin.find_coordinator(settings.kafka_group_id)


async def cluster_of(settings: ProjectorSettings) -> str:
    """Return the id of the Kafka cluster."""
    async with admin_client(settings) as admin:
        description = await admin.describe_cluster()
    return str(description["cluster_id"])


async def topic_setting(admin: AIOKafkaAdminClient, topic: str, name: str) -> str | None:
    """Return the value of a topic's setting, None when this user may not see it.

    UnknownTopicOrPartitionError when the broker does not know the topic yet.
    """
    settings = await _settings_of(admin, topic)
    if settings is not None and name not in settings:
        raise UnknownTopicOrPartitionError(topic)
    return None if settings is None else settings[name]


async def _settings_of(admin: AIOKafkaAdminClient, topic: str) -> dict[str, str] | None:
    """Return a topic's settings, none when the broker does not know it yet; None when this user may not see them."""
    responses = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    resources = [resource for response in responses for resource in response.resources]
    for code, message, *_ in resources:
        if code == TopicAuthorizationFailedError.errno:
            return None
        if code not in (0, UnknownTopicOrPartitionError.errno):
            raise for_code(code)(message)
    return {entry[0]: str(entry[1]) for resource in resources for entry in resource[4]}


async def create_topics(settings: ProjectorSettings, partitions: int | None, replicas: int) -> list[str]:
    """Create what is missing, and return a sentence for each topic.

    Existing topics stay as they are; a setting of theirs that would lose events is told, and another number of
    partitions than the one that is asked for.
    """
    wanted = {
        settings.kafka_topic: (partitions, LOG_CONFIG),
        settings.dead_letter_topic: (None, LETTERS_CONFIG),
    }
    defaults = {settings.kafka_topic: DEFAULT_PARTITIONS, settings.dead_letter_topic: 1}
    sentences = []
    async with admin_client(settings) as admin:
        for topic, (asked_for, config) in wanted.items():
            count = asked_for or defaults[topic]
            try:
                response = await admin.create_topics(
                    [NewTopic(topic, min(count, MOST_AT_ONCE), replicas, topic_configs=config)]
                )
            except KafkaError as error:
                raise CommandError(f"the topic {topic} cannot be created: {error}") from error
            code, message = response.topic_errors[0][1:3]
            if code == TopicAlreadyExistsError.errno:
                differing = "; ".join(
                    [*await _differing(admin, topic, config), *await _other_partitions(admin, topic, asked_for)]
                )
                sentences.append(f"{topic}: exists" + (f", but {differing}" if differing else ""))
            elif code == TopicAuthorizationFailedError.errno:
                raise TopicAuthorizationFailedError(topic)
            elif code:
                raise CommandError(f"the topic {topic} cannot be created: {message or for_code(code).__name__}")
            else:
                await _add_partitions(admin, topic, count)
                sentences.append(f"{topic}: created with {count} partition{'s' if count > 1 else ''}")
    return sentences


async def _add_partitions(admin: AIOKafkaAdminClient, topic: str, count: int) -> None:
    """Add what a topic lacks that was created with as many partitions as one request takes."""
    for total in range(2 * MOST_AT_ONCE, count + MOST_AT_ONCE, MOST_AT_ONCE):
        try:
            await admin.create_partitions({topic: NewPartitions(min(total, count))})
        except TopicAuthorizationFailedError:
            raise
        except KafkaError as error:
            there = total - MOST_AT_ONCE
            raise CommandError(f"the topic {topic} has {there} partitions and gets no more: {error}") from error


async def _other_partitions(admin: AIOKafkaAdminClient, topic: str, wanted: int | None) -> list[str]:
    """Return how many partitions a topic has when it is another number than the wanted one, and what can be done."""
    if wanted is None:
        return []
    there = len((await admin.describe_topics([topic]))[0]["partitions"])
    if there == wanted:
        return []
    difference = f"it has {there} partition{'s' if there > 1 else ''}, {wanted} {'are' if wanted > 1 else 'is'} wanted"
    if there > wanted:
        return [difference + ": Kafka takes none away"]
    return [difference + f": `kafka-topics.sh --alter --topic {topic} --partitions {wanted}` adds them"]


async def _differing(admin: AIOKafkaAdminClient, topic: str, config: Mapping[str, str]) -> list[str]:
    """Return which settings of a topic differ from ours, as words."""
    differing = []
    for name, wanted in config.items():
        value = await topic_setting(admin, topic, name)
        if value not in (wanted, None):
            differing.append(f"{name} is {value}, {wanted} is wanted")
    return differing

"""Creating the topics that the system needs: the log, kept for ever, and its dead letters."""

from collections.abc import Mapping
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from projector.letters.writer import MAX_LETTER_BYTES
from projector.settings import ProjectorSettings
from projector.startup import topic_setting
from service.errors import CommandError
from service.kafka import admin_client

UNLIMITED: Final = "-1"
KEPT_FOR_EVER: Final = {"cleanup.policy": "delete", "retention.ms": UNLIMITED, "retention.bytes": UNLIMITED}
# Records get the broker's time, so that a worker's wrong clock cannot date them.
LOG_CONFIG: Final = {**KEPT_FOR_EVER, "message.timestamp.type": "LogAppendTime"}
LETTERS_CONFIG: Final = {**KEPT_FOR_EVER, "max.message.bytes": str(MAX_LETTER_BYTES)}


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
        if value != wanted:
            differing.append(f"{name} is {value}, {wanted} is wanted")
    return "; ".join(differing)

"""Settings of the projector."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from schemas.diagnosis.limits import DEFAULT_LIMITS, LIMITS_MEANING, checked_limits
from service.settings import MAX_TOPIC_CHARACTERS, Host, KafkaSettings, Port, RedisSettings, TopicName

DEAD_LETTER_PREFIX = "dlq."


class ProjectorSettings(KafkaSettings, RedisSettings):
    """What the projector and its commands can be told."""

    kafka_dead_letter_topic: TopicName | None = Field(
        None,
        description="Topic for records that cannot be understood; `dlq.` and the topic when not given.",
    )
    kafka_group_id: str = Field("status-projector", min_length=1, description="Consumer group that shares partitions.")
    kafka_accept_truncated_log: bool = Field(
        False,  # noqa: FBT003 - pydantic's way to give a default
        description="Go on from the log's start when events before it are gone, instead of holding the partition.",
    )
    metrics_host: Host = Field(
        "127.0.0.1",
        description="Address on which health and metrics are served; 0.0.0.0 for every one, :: for those of IPv6 too.",
    )
    metrics_port: Port = Field(9464, description="Port on which health and metrics are served; 0 picks a free one.")
    stage_limits: Annotated[str, AfterValidator(checked_limits)] = Field(DEFAULT_LIMITS, description=LIMITS_MEANING)

    @model_validator(mode="after")
    def _has_room_for_the_prefix(self) -> Self:
        if len(self.dead_letter_topic) > MAX_TOPIC_CHARACTERS:
            raise ValueError("KAFKA_TOPIC is too long for `dlq.` in front of it: set KAFKA_DEAD_LETTER_TOPIC")
        return self

    @model_validator(mode="after")
    def _letters_are_not_events(self) -> Self:
        if self.dead_letter_topic == self.kafka_topic:
            raise ValueError(
                "KAFKA_DEAD_LETTER_TOPIC is KAFKA_TOPIC, so every letter would be read again and become another one: "
                "name another topic"
            )
        return self

    @property
    def dead_letter_topic(self) -> str:
        """The topic for records that cannot be understood."""
        return self.kafka_dead_letter_topic or DEAD_LETTER_PREFIX + self.kafka_topic

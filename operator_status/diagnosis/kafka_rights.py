"""Rights that Kafka refuses: whose, and where the table of those that are needed stands."""

from typing import Final

from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

from operator_status.diagnosis.fault import Fault
from operator_status.kafka_access import KafkaAccess

# What a refusal is about, and which rights there are to it.
_REFUSALS: Final = {
    TopicAuthorizationFailedError: ("a topic", "Read, Write, Create, Describe or DescribeConfigs on it"),
    GroupAuthorizationFailedError: ("the consumer group", "Read on the group KAFKA_GROUP_ID"),
    ClusterAuthorizationFailedError: (
        "the cluster",
        "Write on the topic to write to, or Create on the topic to create",
    ),
    TransactionalIdAuthorizationFailed: ("a transaction", "Write on the transactional id"),
}


def missing_right(settings: KafkaAccess, error: Exception | None) -> Fault | None:
    """Return which right an error says is missing; None when it is about something else."""
    for kind, (what, right) in _REFUSALS.items():
        if isinstance(error, kind):
            return Fault(
                f"{user(settings)} lacks a right on {what}: {error}", f"grant {right}, as docs/operations.md lists them"
            )
    return None


def user(settings: KafkaAccess) -> str:
    """Return whom Kafka takes us for, as far as the settings tell."""
    if settings.kafka_security_protocol.startswith("SASL") and settings.kafka_sasl_plain_username:
        return f"the user {settings.kafka_sasl_plain_username!r}"
    return "this client"

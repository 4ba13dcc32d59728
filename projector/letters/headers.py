"""What a dead letter says in its headers: Kafka Connect's names, so that existing tools read it."""

from enum import Enum
from typing import Final

from projector.fold.record import Record, RefusedRecord

HEADER_PREFIX: Final = "__connect.errors."
STAGE: Final = "VALUE_CONVERTER"  # Kafka Connect's name for the step that failed

Headers = list[tuple[str, bytes | None]]


class Decision(Enum):
    """Who decided to pass something over: the letter's reason code, and what its message says of the offsets."""

    COMMAND = "skipped-by-command", "were skipped by command"
    SETTING = "gone-from-log", "are gone from the log, which KAFKA_ACCEPT_TRUNCATED_LOG accepts"

    def __init__(self, reason: str, what: str) -> None:
        self.reason, self.what = reason, what


def headers_of(refused: RefusedRecord) -> Headers:
    """Return the record's own headers, then where it was and what was wrong with it."""
    record = refused.record
    about = _about(record.topic, record.partition, record.offset, refused.reason.value, refused.message)
    return [*record.headers, *about]


def headers_of_range(partition: str, start: int, to: int, decision: Decision) -> Headers:
    """Return what tells of the offsets from `start` up to, not including, `to` that they were passed over."""
    topic, _, number = partition.rpartition("/")
    return _about(topic, number, start, decision.reason, f"offsets {start} to {to - 1} {decision.what}")


def is_letter(record: Record) -> bool:
    """Tell whether a record of the log is a letter about a record of the same log, which somebody wrote there."""
    topics = [content for name, content in record.headers if name == HEADER_PREFIX + "topic"]
    return topics[-1:] == [record.topic.encode()]


def _about(topic: str, partition: int | str, offset: int, reason: str, message: str) -> Headers:
    about = {
        "topic": topic,
        "partition": str(partition),
        "offset": str(offset),
        "stage": STAGE,
        "exception.class.name": reason,
        "exception.message": message,
    }
    return [(HEADER_PREFIX + name, text.encode()) for name, text in about.items()]

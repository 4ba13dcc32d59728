"""Records of the log as values: what is read of one, what tells it from another, and one that was refused."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas.decode import Reason
from schemas.identity import JobIdentity, job_member
from schemas.redis_layout import partition_name
from schemas.refused_event import RefusedEvent, refused_event


class Record(Protocol):
    """What is read of a consumed Kafka record."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class RefusedRecord:
    """A record that cannot be understood, and why; it becomes a dead letter.

    `identity` is the job that it names, as far as it can be read.
    """

    record: Record
    reason: Reason
    message: str
    identity: JobIdentity | None = None

    @property
    def remembered(self) -> RefusedEvent | None:
        """What is remembered of it at the job that it names; None when it names none."""
        if self.identity is None:
            return None
        record = self.record
        place = f"{partition_name(record.topic, record.partition)}/{record.offset}"
        return refused_event(job_member(self.identity), record.timestamp, place, self.reason)


def fingerprint_of(record: Record) -> str:
    """Return what tells a record from another at the same offset: `<offset>:<CRC-32 of key and value>`."""
    return f"{record.offset}:{zlib.crc32(record.value or b'', zlib.crc32(record.key or b'')):08x}"


def fingerprint_offset(fingerprint: str) -> int:
    """Return the offset of the record that a fingerprint is of."""
    return int(fingerprint.partition(":")[0])


def value_bytes(records: Sequence[Record]) -> int:
    """Return the size of the records' values."""
    return sum(len(record.value or b"") for record in records)

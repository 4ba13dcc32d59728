"""A partition that this projector folds: where it stands, and why it waits when it does.

    unplaced: its position is read from Redis; when a record was applied before -> checking, else -> folding
    checking: the record before the position is the one that was applied -> folding, else -> held
    folding:  what hinders it is found -> held; its broker is away, or another one leads it -> unplaced
    held:     the hold is over, or it is assigned anew -> unplaced

A held partition is not read further while the others go on; readiness names the reason.
"""

import sys
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from aiokafka import TopicPartition

from schemas.redis_layout import partition_name

HOLD_RETRY_SECONDS: Final = 5.0


class Record(Protocol):
    """What is read of a consumed Kafka record (aiokafka's ConsumerRecord)."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


def never() -> bool:
    """Return that it is not over: a person has to do something, or the partition is assigned anew."""
    return False


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a partition waits, and what tells when it may try again by itself; by default it never does."""

    reason: str
    is_over: Callable[[], bool] = never


def after(seconds: float) -> Callable[[], bool]:
    """Return what tells whether so many seconds have passed from now on."""
    due = time.monotonic() + seconds
    return lambda: time.monotonic() >= due


@dataclass(slots=True)
class Partition:
    """The state of one assigned partition.

    `stored` has the position of each bucket once every batch handed over is applied; `next` is the offset to fold
    next; `leader` is the broker that led it when it was placed, None once that did not answer; `applied` is what Redis
    has confirmed; `end` is the log's end as last asked.
    """

    topic_partition: TopicPartition
    stored: list[int]
    next: int
    leader: int | None
    fingerprint: str = ""
    applied: int = 0
    end: int = 0
    hold: Hold | None = None
    progressed_at: float = field(default_factory=time.monotonic)

    @property
    def name(self) -> str:
        """The partition's name in Redis, in metrics and in messages."""
        return partition_name(self.topic_partition.topic, self.topic_partition.partition)

    @property
    def boundary(self) -> int:
        """The next offset at which a bucket joins in that already stands further; beyond all when none does."""
        return min((position for position in self.stored if position > self.next), default=sys.maxsize)

    @property
    def may_try_again(self) -> bool:
        """Whether the partition was held and the hold is over."""
        return self.hold is not None and self.hold.is_over()

    def doubt(self) -> None:
        """Have it placed anew: its broker did not answer, and may have lost records before it does again."""
        self.leader = None

    def hand_over(self, start: int, to: int) -> None:
        """Note that the records from `start` up to `to` were handed to every bucket that stood at `start`."""
        self.stored = [to if position == start else position for position in self.stored]

    def confirm(self, position: int) -> None:
        """Note that Redis has applied everything below this position."""
        self.applied = position
        self.progressed_at = time.monotonic()


def fingerprint_of(record: Record) -> str:
    """Return what tells a record from another at the same offset: `<offset>:<CRC-32 of key and value>`."""
    return f"{record.offset}:{zlib.crc32(record.value or b'', zlib.crc32(record.key or b'')):08x}"


def fingerprint_offset(fingerprint: str) -> int:
    """Return the offset of the record that a fingerprint is of."""
    return int(fingerprint.partition(":")[0])


def value_bytes(records: Sequence[Record]) -> int:
    """Return the size of the records' values."""
    return sum(len(record.value or b"") for record in records)

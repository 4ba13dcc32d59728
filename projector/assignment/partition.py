"""A partition that this projector folds: where it stands, and why it waits when it does.

    unplaced: its position is read from Redis; when a record was applied before -> checking, else -> folding
    checking: the record before the position is the one that was applied -> folding, else -> held
    folding:  what hinders it is found -> held; its broker is away, or another one leads it -> unplaced
    held:     the hold is over, or it is assigned anew -> unplaced

A held partition is not read further while the others go on; readiness names the reason.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from aiokafka import TopicPartition

from projector.fold.batches import Stretch
from projector.fold.record import Record, fingerprint_offset
from schemas.redis_layout import ENDLESS_CODES, TRANSACTION, partition_name

HOLD_RETRY_SECONDS: Final = 5.0
# Every transaction keeps what is behind it waiting for a moment; that is worth a word when the moment is so long.
BLOCKED_AFTER_SECONDS: Final = 3.0


def never() -> bool:
    """Return that it is not over: a person has to do something, or the partition is assigned anew."""
    return False


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a partition waits, and what tells when it may try again by itself; by default it never does.

    `reason` is for people, `code` (see `schemas.redis_layout`) for its heartbeat.
    """

    code: str
    reason: str
    is_over: Callable[[], bool] = never


def after(seconds: float) -> Callable[[], bool]:
    """Return what tells whether so many seconds have passed from now on."""
    due = time.monotonic() + seconds
    return lambda: time.monotonic() >= due


@dataclass(slots=True)
class Partition:
    """The state of one assigned partition.

    `next` is the offset to read next, and `stored` has the position of each bucket, once all that was taken is applied;
    `applied` is what Redis has confirmed; `leader` is the broker that led it when it was placed, None once that did not
    answer; `end` is how far the log could be read, and `watermark` how far it went, as last asked; `blocked_at` tells
    since when an open transaction keeps records from us, None while none does.
    """

    topic_partition: TopicPartition
    stored: tuple[int, ...]
    next: int
    leader: int | None
    fingerprint: str = ""
    applied: int = 0
    end: int = 0
    watermark: int = 0
    blocked_at: float | None = None
    hold: Hold | None = None

    @property
    def name(self) -> str:
        """The partition's name in Redis, in metrics and in messages."""
        return partition_name(self.topic_partition.topic, self.topic_partition.partition)

    @property
    def place_to_read(self) -> int:
        """The offset to fetch from: that of the record before, as long as it is to be checked."""
        return fingerprint_offset(self.fingerprint) if self.fingerprint else self.next

    @property
    def may_try_again(self) -> bool:
        """Whether the partition was held and the hold is over."""
        return self.hold is not None and self.hold.is_over()

    @property
    def is_behind(self) -> bool:
        """Whether the log, as last asked, has something that is not applied, and nothing holds the partition."""
        return self.end > self.applied and self.hold is None

    @property
    def is_settled(self) -> bool:
        """Whether all that was taken is applied, so that `stored` is what must be in Redis."""
        return self.applied == self.next

    @property
    def lag(self) -> int | None:
        """How many offsets are in the log and not applied, readable yet or not; None where that is unknown."""
        return None if self.code in ENDLESS_CODES else max(0, self.watermark - self.applied)

    @property
    def is_blocked(self) -> bool:
        """Whether nothing but a transaction, open for a while, keeps it from the log's end."""
        return self.blocked_at is not None and time.monotonic() - self.blocked_at >= BLOCKED_AFTER_SECONDS

    @property
    def code(self) -> str | None:
        """Why it does not go on, for its heartbeat; None when it does."""
        return self.hold.code if self.hold else TRANSACTION if self.is_blocked else None

    def learn(self, readable: int, watermark: int) -> None:
        """Note how far the log goes."""
        if self.applied < readable or readable == watermark:
            self.blocked_at = None
        elif self.blocked_at is None or readable != self.end:
            self.blocked_at = time.monotonic()
        self.end, self.watermark = readable, watermark

    def doubt(self) -> None:
        """Have it placed anew: its broker did not answer, and may have lost records before it does again."""
        self.leader = None

    def take(self, records: Sequence[Record], to: int) -> Stretch:
        """Return the records, which are all up to the offset `to`, to be folded; the next are read from there."""
        stretch = Stretch(self.name, self.next, to, self.stored, records)
        self.next = to
        self.stored = tuple(max(position, to) for position in self.stored)
        return stretch

    def confirm(self, position: int) -> None:
        """Note that Redis has applied everything below this position."""
        self.applied = position

"""Our partitions: placed by what Redis has stored, checked against the log, held where the two differ."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog
from aiokafka import TopicPartition

from projector.assignment.partition import (
    HOLD_RETRY_SECONDS,
    Hold,
    Partition,
    Record,
    after,
    fingerprint_of,
    fingerprint_offset,
    value_bytes,
)
from projector.assignment.shown import Shown
from projector.assignment.skip import Skipped
from projector.errors import DeadLetterError
from projector.fold.batches import Polled
from projector.log.codecs import MAX_EXPANDED_BYTES
from projector.log.consumer import Log, LogRange, is_unreadable
from projector.store.generation import Generation, Standing
from schemas.redis_layout import partition_name

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Assignment:
    """Which partitions are read, and how far.

    A partition is read only after it was placed: its position comes from Redis, never from Kafka's group.
    """

    log: Log
    store: Generation
    # Passes over what is gone from the log; None: it is held until a person has decided.
    pass_over: Callable[[Skipped], Awaitable[None]] | None = None
    partitions: dict[TopicPartition, Partition] = field(default_factory=dict)
    # By partition name: what is to be held as soon as it is placed.
    hold_when_placed: dict[str, Hold] = field(default_factory=dict)
    _unled: frozenset[TopicPartition] = frozenset()
    _shown: Shown = field(init=False)

    def __post_init__(self) -> None:
        self._shown = Shown(self.store)

    @property
    def holds(self) -> dict[str, str]:
        """The reason of every partition that is held, by its name."""
        return {partition.name: partition.hold.reason for partition in self.partitions.values() if partition.hold}

    @property
    def held(self) -> dict[str, str]:
        """The reason of every partition that is held, or waits for its broker, by its name."""
        return self.holds | {partition_name(item.topic, item.partition): _UNLED for item in self._unled}

    @property
    def applied(self) -> dict[str, int]:
        """The position that Redis has confirmed, of every partition by its name."""
        return {partition.name: partition.applied for partition in self.partitions.values()}

    def named(self, name: str) -> Partition:
        """Return the partition with this name, which must be placed."""
        return next(partition for partition in self.partitions.values() if partition.name == name)

    def forget(self) -> None:
        """Forget every position; `place` reads them again."""
        for item in list(self.partitions):
            self._drop(item)

    async def place(self) -> None:
        """Place what was assigned and not placed yet, or whose hold is over.

        A partition that another broker leads now is placed anew: it may lack records that were applied. One that no
        broker answers for waits, and the others go on. Raises StoreUnavailableError or KafkaError; whatever was not
        placed is tried again by the next call.
        """
        assigned = self.log.assignment
        led_anew = {item for item, partition in self.partitions.items() if not self._is_led_as_placed(partition)}
        unplaced = self.log.take_unplaced() | led_anew
        for gone in (self.partitions.keys() - assigned) | (self.partitions.keys() & unplaced):
            self._drop(gone)
        new = [item for item in assigned if item not in self.partitions or self.partitions[item].may_try_again]
        if not new:
            self._unled = frozenset()
            return
        for item in self.partitions.keys() & new:
            self._shown.remember(self.partitions[item])
        leaders = {item: self.log.leader(item) for item in new}  # before anything is asked or fetched
        ranges = await self.log.ranges(new)
        names = {item: partition_name(item.topic, item.partition) for item in ranges}
        standings = await self._standings({names[item]: held for item, held in ranges.items()}) if names else {}
        for item in self.log.assignment.intersection(ranges):
            self._place(item, standings[names[item]], ranges[item], leaders[item])
        self._leave(self.log.assignment.intersection(new) - ranges.keys())

    async def _standings(self, ranges: Mapping[str, LogRange]) -> dict[str, Standing]:
        """Return where each partition stands, once what is gone before its range is passed over, if it may be.

        From readers it is hidden first when that is less than they may have seen.
        """
        standings = await self.store.standings(list(ranges))
        await self._shown.hide_lost(standings, {name: held.end for name, held in ranges.items()})
        if self.pass_over is None:
            return standings
        for name, held in ranges.items():
            gone = Skipped(name, min(standings[name].next), held.start)
            if gone.start >= gone.to:
                continue
            try:
                await self.pass_over(gone)
            except DeadLetterError as error:
                self.hold_when_placed[name] = Hold(_gone(gone.start, gone.to, str(error)), after(HOLD_RETRY_SECONDS))
            else:
                _log.warning("passed over", partition=name, reason=_gone(gone.start, gone.to, _ACCEPTED))
                standings |= await self.store.standings([name])
        return standings

    def _leave(self, unled: set[TopicPartition]) -> None:
        """Leave alone what no broker answers for."""
        for item in unled:
            if item in self.partitions:
                self._drop(item)
            self.log.park(item)
            if item not in self._unled:
                _log.warning("partition waits", partition=partition_name(item.topic, item.partition), reason=_UNLED)
        self._unled = frozenset(unled)

    def _drop(self, item: TopicPartition) -> None:
        self._shown.remember(self.partitions.pop(item))

    def _is_led_as_placed(self, partition: Partition) -> bool:
        return partition.leader is not None and partition.leader == self.log.leader(partition.topic_partition)

    async def poll_carefully(self) -> dict[TopicPartition, Sequence[Record]]:
        """Return what can be read of each partition; one that cannot be read on where it stands is held.

        All of it together is no more than one poll may expand: those that find no room have their turn later.
        """
        records: dict[TopicPartition, Sequence[Record]] = {}
        room_bytes = MAX_EXPANDED_BYTES
        for item, partition in list(self.partitions.items()):
            if partition.hold or item not in self.log.assignment:
                continue
            records[item], error = await self.log.poll_carefully(item, room_bytes)
            room_bytes -= value_bytes(records[item])
            if error and not is_unreadable(error):
                raise error
            if error and records[item]:
                self.log.seek(item, records[item][-1].offset + 1)
            elif error:
                reason = (
                    f"the record at {partition.next} cannot be read ({type(error).__name__}: {error}): {_UNREADABLE}"
                )
                self.hold(partition, Hold(reason))
        return records

    def polled(self, records: Mapping[TopicPartition, Sequence[Record]]) -> list[tuple[Partition, Sequence[Record]]]:
        """Return the records that may be folded, of every partition that is neither unplaced nor held.

        One that was assigned anew during the poll is unplaced: its records are from where the group stood. One that
        another broker leads since may have other records.
        """
        unplaced = self.log.unplaced
        return [
            (partition, self._unread(partition, records.get(item, ())))
            for item, partition in self.partitions.items()
            if partition.hold is None and item not in unplaced and self._is_led_as_placed(partition)
        ]

    async def positioned(self, polled: list[tuple[Partition, Sequence[Record]]]) -> list[Polled]:
        """Return the polled records with the consumer's position after them; it passes offsets without a record.

        What is assigned anew meanwhile is left out: its position is that of the group.
        """
        positioned = [
            (partition, records, await self.log.position(partition.topic_partition))
            for partition, records in polled
            if partition.hold is None and partition.topic_partition in self.log.assignment
        ]
        return [one for one in positioned if one[0].topic_partition not in self.log.unplaced]

    def hold(self, partition: Partition, hold: Hold) -> None:
        """Stop reading a partition and say why."""
        partition.hold = hold
        self.log.pause(partition.topic_partition)
        _log.error("partition held", partition=partition.name, reason=hold.reason)

    def seek_back(self) -> None:
        """Read every partition from our own position again: after an error the consumer's may be wrong."""
        for item in self.partitions.keys() & self.log.assignment:
            partition = self.partitions[item]
            self.log.seek(item, _place_to_read(partition))

    def _place(self, item: TopicPartition, standing: Standing, held: LogRange, leader: int | None) -> None:
        first = min(standing.next)
        fingerprint = standing.fingerprints[standing.next.index(first)]
        partition = Partition(item, list(standing.next), first, leader, applied=first, end=held.end)
        self.partitions[item] = partition
        if first > held.end:
            self.hold(partition, Hold(f"the log ends at {held.end}, before position {first}: {_REPLACED}"))
        elif first < held.start and partition.name not in self.hold_when_placed:
            self.hold(partition, Hold(_gone(first, held.start, _TRUNCATED)))
        else:
            # Where somebody changed the position alone, the fingerprint is of another record than the one before it.
            if fingerprint and held.start <= fingerprint_offset(fingerprint) < first:
                partition.fingerprint = fingerprint
            self.log.resume(item)
            self.log.seek(item, max(_place_to_read(partition), held.start))
            _log.info("partition placed", partition=partition.name, position=first, log_end=held.end)
        hold = self.hold_when_placed.pop(partition.name, None)
        if hold and partition.hold is None:
            self.hold(partition, hold)

    def _unread(self, partition: Partition, records: Sequence[Record]) -> Sequence[Record]:
        """Return the records not folded yet, once the one before them is known to be the one we applied."""
        if partition.fingerprint and records:
            if fingerprint_of(records[0]) != partition.fingerprint:
                self.hold(partition, Hold(f"the record before position {partition.next} is another one: {_REPLACED}"))
                return ()
            partition.fingerprint = ""
        return [record for record in records if record.offset >= partition.next]


_REPLACED = (
    "the topic was re-created or cut, so this projection is of another log; delete the projection "
    "(or set another REDIS_PREFIX) to fold the log that is there"
)
_UNLED = "no broker leads it, or the one that does is away: start the brokers that hold it"
_UNREADABLE = "pass it with `python -m projector skip --partition N --to OFFSET`"
_TRUNCATED = "go on without them by `python -m projector skip --to-log-start` or KAFKA_ACCEPT_TRUNCATED_LOG=true"
_ACCEPTED = "KAFKA_ACCEPT_TRUNCATED_LOG is set"


def _gone(start: int, to: int, consequence: str) -> str:
    return f"events {start} to {to - 1} are gone from the log: {consequence}"


def _place_to_read(partition: Partition) -> int:
    return fingerprint_offset(partition.fingerprint) if partition.fingerprint else partition.next

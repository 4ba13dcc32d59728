"""Our partitions: placed by what Redis has stored, checked against the log, held where the two differ."""

import time
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError

from projector.assignment.partition import Hold, Partition
from projector.assignment.places import REPLACED, PassOver, Place, Places
from projector.assignment.silence import Silence
from projector.fold.batches import Stretch
from projector.fold.record import Record, fingerprint_of
from projector.log.consumer import Log, is_unreadable
from projector.log.reader import Polled
from projector.store.generation import Opened
from schemas.redis_layout import DAMAGED_KEY, LETTERS_AWAY, LOG_REPLACED, NO_LEADER, UNREADABLE, partition_name

_UNLED: Final = Hold(NO_LEADER, "no broker leads it, or the one that does is away: start the brokers that hold it")
_TOLD_BY_ERRORS: Final = frozenset({DAMAGED_KEY, LETTERS_AWAY})
_UNREADABLE: Final = "pass it with `python -m projector skip --partition N --to OFFSET`"

_log = structlog.get_logger(__name__)


class Taken(NamedTuple):
    """What was taken to be folded, and the partitions it is of, by name, as they were placed then."""

    stretches: list[Stretch]
    partitions: dict[str, Partition]


class Assignment:
    """Which partitions are read, and how far.

    A partition is read only after it was placed: its position comes from Redis, never from Kafka's group.
    """

    def __init__(self, log: Log, store: Opened, pass_over: PassOver | None = None) -> None:
        self._log = log
        self._places = Places(log, store, pass_over)
        self.partitions: dict[TopicPartition, Partition] = {}
        # By partition name: what is to be held as soon as it is placed.
        self._hold_when_placed: dict[str, Hold] = {}
        self._unled: frozenset[TopicPartition] = frozenset()
        self.silence = Silence()

    @property
    def has_first(self) -> bool:
        """Whether the topic's first partition is ours: what only one projector does is ours then."""
        return any(item.partition == 0 for item in self.partitions)

    @property
    def holds(self) -> dict[str, str]:
        """The reason of every partition that is held, by its name."""
        return {partition.name: partition.hold.reason for partition in self.partitions.values() if partition.hold}

    @property
    def held(self) -> dict[str, str]:
        """The reason of every partition that is held, or waits for its broker, by its name."""
        return self.holds | {name: hold.reason for name, hold in self.unled.items()}

    @property
    def unled(self) -> dict[str, Hold]:
        """The partitions that wait for a broker, by their names, so that they are in nobody's hands."""
        return {partition_name(item.topic, item.partition): _UNLED for item in self._unled}

    @property
    def applied(self) -> dict[str, int]:
        """The position that Redis has confirmed, of every partition by its name."""
        return {partition.name: partition.applied for partition in self.partitions.values()}

    @property
    def is_caught_up(self) -> bool:
        """Whether nothing is left to be folded, but of what is held."""
        return not any(partition.is_behind for partition in self.partitions.values())

    async def take(self) -> Taken:
        """Return what may be folded next: records that have arrived, of partitions that are placed, checked, not held.

        Our positions in memory move on with it. After an error nothing was taken: StoreUnavailableError or KafkaError.
        """
        await self._place()
        taken = Taken([], {})
        for item, read in (await self._poll()).items():
            partition = self.partitions.get(item)
            if read.error:
                self._meet(item, read.error)
            elif partition and (read.start > partition.next or not self.is_readable(partition)):
                # What was polled is not taken, or something before it was not: it is read again, and nothing is lost.
                self._log.seek(item, partition.place_to_read)
            elif partition:
                records = self._unread(partition, read.records)
                if partition.hold is None and read.position < partition.next:
                    self._log.seek(item, partition.place_to_read)  # what lies between was passed over
                elif partition.hold is None and read.position > partition.next:
                    taken.stretches.append(partition.take(records, read.position))
                    taken.partitions[partition.name] = partition
        return taken

    def forget(self, holds: Mapping[str, Hold] | None = None) -> None:
        """Forget every position: they are read again, and then these partitions, by name, are held.

        So is what is held for a cause that an error told and that placing cannot find, until that hold is over.
        """
        told = [partition for partition in self.partitions.values() if partition.code in _TOLD_BY_ERRORS]
        self._hold_when_placed |= {item.name: item.hold for item in told if item.hold and not item.hold.is_over()}
        for item in list(self.partitions):
            self._drop(item)
        self._hold_when_placed |= holds or {}

    def seek_back(self) -> None:
        """Read every partition from our own position again: after an error the consumer's may be wrong."""
        for item in self.partitions.keys() & self._log.assignment:
            self._log.seek(item, self.partitions[item].place_to_read)

    def is_readable(self, partition: Partition) -> bool:
        """Tell whether the records of a partition may be folded, which is neither unplaced nor held.

        One that was assigned anew during the poll is unplaced: its records are from where the group stood. One that
        another broker leads since may have other records.
        """
        is_placed = partition.topic_partition not in self._log.unplaced and self._is_led_as_placed(partition)
        return is_placed and partition.hold is None

    async def _place(self) -> None:
        """Place what was assigned and not placed yet, or whose hold is over.

        A partition that another broker leads now is placed anew: it may lack records that were applied. One that no
        broker answers for waits, and the others go on. Whatever was not placed is tried again by the next call.
        """
        assigned = self._log.assignment
        led_anew = {item for item, partition in self.partitions.items() if not self._is_led_as_placed(partition)}
        unplaced = self._log.take_unplaced() | led_anew
        for gone in (self.partitions.keys() - assigned) | (self.partitions.keys() & unplaced):
            self._drop(gone)
        new = [item for item in assigned if item not in self.partitions or self.partitions[item].may_try_again]
        if not new:
            self._unled = frozenset()
            return
        for item in self.partitions.keys() & new:
            self._places.remember(self.partitions[item])
        places = await self._places.find(new)
        for item in self._log.assignment.intersection(places):
            self._put(item, places[item])
        self._leave(self._log.assignment.intersection(new) - places.keys())

    def _put(self, item: TopicPartition, place: Place) -> None:
        """Read a partition from its place on, unless it is held there."""
        partition = self.partitions[item] = place.partition(item)
        hold = partition.hold
        if hold is None:
            self._log.resume(item)
            self._log.seek(item, max(partition.place_to_read, place.held.start))
            _log.info("partition placed", partition=partition.name, position=partition.next, log_end=partition.end)
        wanted = self._hold_when_placed.pop(partition.name, None)
        if hold := hold or wanted:
            self._hold(partition, hold)

    def _leave(self, unled: set[TopicPartition]) -> None:
        """Leave alone what no broker answers for."""
        for item in unled:
            if item in self.partitions:
                self._drop(item)
            self._log.park(item)
            if item not in self._unled:
                _log.warning(
                    "partition waits", partition=partition_name(item.topic, item.partition), reason=_UNLED.reason
                )
        self._unled = frozenset(unled)

    def _drop(self, item: TopicPartition) -> None:
        self._places.remember(self.partitions.pop(item))

    def _hold(self, partition: Partition, hold: Hold) -> None:
        """Stop reading a partition and say why."""
        partition.hold = hold
        self._log.pause(partition.topic_partition)
        _log.error("partition held", partition=partition.name, reason=hold.reason)

    def _is_led_as_placed(self, partition: Partition) -> bool:
        return partition.leader is not None and partition.leader == self._log.leader(partition.topic_partition)

    async def _poll(self) -> Polled:
        """Return what has arrived, and note of which partitions nothing did."""
        began = time.monotonic()
        polled = await self._log.poll()
        heard = {partition_name(item.topic, item.partition) for item in polled}
        self.silence.break_for(heard)
        if self._log.is_drained:
            self.silence.note(self.partitions.values(), heard, time.monotonic() - began)
        return polled

    def _meet(self, item: TopicPartition, error: Exception) -> None:
        """Do about one partition what its error asks for; raises what is not about one."""
        partition = self.partitions.get(item)
        if isinstance(error, OffsetOutOfRangeError):
            if partition:
                self._drop(item)  # placing finds out whether the log was cut or its start was deleted
        elif isinstance(error, NoOffsetForPartitionError):  # assigned a moment ago, and not placed yet
            if partition:
                self._log.seek(item, partition.place_to_read)
        elif not is_unreadable(error):
            raise error
        elif partition and partition.hold is None:
            what = f"the record at {partition.next} cannot be read ({type(error).__name__}: {error})"
            self._hold(partition, Hold(UNREADABLE, f"{what}: {_UNREADABLE}"))

    def _unread(self, partition: Partition, records: Sequence[Record]) -> Sequence[Record]:
        """Return the records not folded yet, once the one before them is known to be the one we applied."""
        if partition.fingerprint and records:
            if fingerprint_of(records[0]) != partition.fingerprint:
                reason = f"the record before position {partition.next} is another one: {REPLACED}"
                self._hold(partition, Hold(LOG_REPLACED, reason))
                return ()
            partition.fingerprint = ""
        return [record for record in records if record.offset >= partition.next]

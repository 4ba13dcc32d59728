"""The heartbeat: each second, how far the log goes is written beside the positions, and those are compared with ours.

So an idle projector finds out that Redis was emptied or lost writes, and readers know how fresh an answer is. A
partition that is held has its heartbeat too, which says so.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Final

import structlog
from aiokafka.errors import KafkaError

from projector.assignment.assignment import Assignment
from projector.assignment.partition import Partition
from projector.errors import FingerprintMovedError, PositionMovedError, ProjectorError
from projector.log.consumer import Log
from projector.projector import Projector
from projector.store.live import Live
from schemas.redis_layout import ENDLESS_CODES, log_seen

SILENT_AFTER_SECONDS: Final = 5.0  # so old is the newest heartbeat of a projection that nobody projects
# Of more partitions a sentence names the first ones, and says how many there are besides.
NAMED_PARTITIONS: Final = 8

_log = structlog.get_logger(__name__)


class Heartbeat:
    """Confirms positions and log ends."""

    def __init__(self, projector: Projector, assignment: Assignment, log: Log, store: Live) -> None:
        self._projector = projector
        self._assignment = assignment
        self._log = log
        self._store = store
        # Whether anybody projects anything, we or another one.
        self.is_projected = True
        self.trouble: str | None = "no heartbeat yet"

    async def beat(self) -> None:
        """Beat once; what hinders it is noted, and the next time may do."""
        try:
            await self._beat()
        except (KafkaError, TimeoutError, ProjectorError) as error:
            self._note(str(error) or type(error).__name__)
        else:
            self._note(None)

    async def _beat(self) -> None:
        """Write what is seen of our partitions, and have the projector react when the stored positions are not ours."""
        partitions = {partition.name: partition for partition in self._assignment.partitions.values()}
        self.is_projected = bool(partitions)
        if not partitions and not self._projector.is_idle:
            return
        silent = await self._confirm(partitions)
        if not partitions:
            await self._look_for_others()
        if silent:
            raise TimeoutError(f"Kafka does not say where {_some_of(silent)} ends")

    async def _confirm(self, partitions: Mapping[str, Partition]) -> AbstractSet[str]:
        """Write our heartbeats and compare positions; return the partitions whose end Kafka does not say."""
        unled = {name: log_seen(None, hold.code) for name, hold in self._assignment.unled.items()}
        if not partitions and not unled:
            return frozenset()
        try:
            heartbeats = self._store.generation.heartbeats
            asked_at = await heartbeats.clocks()
            applied = {name: item.applied for name, item in partitions.items()}  # before the log is asked
            silent = await self._look_at_ends(partitions)
            seen = {name: _seen(item, applied[name]) for name, item in partitions.items() if name not in silent}
            settled = {name: item.next for name, item in partitions.items() if item.is_settled}
            await self._store.check_pointer()
            stored = await heartbeats.beat(unled | seen, asked_at)
            await self._compare_fingerprints(partitions)
        except ProjectorError as error:
            self._projector.interrupt(error)
            raise
        self._compare(partitions, settled, stored)
        return silent

    async def _look_for_others(self) -> None:
        """Find out whether anybody projects while nothing is assigned to us; KafkaError when Kafka does not answer."""
        await self._log.ends()
        try:
            await self._store.check_pointer()
            age_seconds = await self._store.generation.heartbeats.age_seconds()
        except ProjectorError as error:
            self._projector.interrupt(error)
            raise
        self.is_projected = age_seconds < SILENT_AFTER_SECONDS

    async def _look_at_ends(self, partitions: Mapping[str, Partition]) -> AbstractSet[str]:
        """Have our partitions learn how far the log goes; return those of which Kafka does not say it."""
        ends = await self._log.ends_known([partition.topic_partition for partition in partitions.values()])
        silent = {name for name, partition in partitions.items() if partition.topic_partition not in ends}
        for name, partition in partitions.items():
            if name in silent:
                partition.doubt()
            else:
                partition.learn(*ends[partition.topic_partition])
        return silent

    def _compare(
        self, partitions: Mapping[str, Partition], settled: Mapping[str, int], stored: Mapping[str, tuple[int, ...]]
    ) -> None:
        """Compare positions, of partitions that stood still while they were read."""
        for name, partition in partitions.items():
            positions = stored.get(name, partition.stored)
            is_ours = self._assignment.partitions.get(partition.topic_partition) is partition
            stood_still = partition.is_settled and settled.get(name) == partition.next
            if is_ours and stood_still and positions != partition.stored:
                self._projector.interrupt(PositionMovedError(name, partition.applied, min(positions)))

    async def _compare_fingerprints(self, partitions: Mapping[str, Partition]) -> None:
        """Compare what partitions are held for, which `verify --repair --trust-log` mends while positions stay."""
        held = {name: item for name, item in partitions.items() if item.hold and item.fingerprint}
        if not held:
            return
        standings = await self._store.generation.standings(list(held))
        for name, partition in held.items():
            if standings[name].fingerprint != partition.fingerprint:
                self._projector.interrupt(FingerprintMovedError(name, standings[name].fingerprint))

    def _note(self, trouble: str | None) -> None:
        if trouble and trouble != self.trouble:
            _log.warning("no heartbeat", detail=trouble)
        self.trouble = trouble


def _seen(partition: Partition, applied: int) -> str:
    """Return what is seen of a partition whose position was so far when the log was asked.

    A log that ends before that is another one, or was cut, so no number says what is missing.
    """
    code = partition.code
    is_known = code not in ENDLESS_CODES and applied <= partition.watermark
    return log_seen(partition.watermark if is_known else None, code)


def _some_of(names: AbstractSet[str]) -> str:
    """Return the names for a sentence: a topic may have ten thousand partitions."""
    shown = ", ".join(sorted(names)[:NAMED_PARTITIONS])
    return shown if len(names) <= NAMED_PARTITIONS else f"{shown} and {len(names) - NAMED_PARTITIONS} more"

"""The heartbeat: each second, how far the log goes is written beside the positions, and those are compared with ours.

So an idle projector finds out that Redis was emptied or lost writes, and readers know how fresh an answer is.
"""

from collections.abc import Mapping
from typing import Final

import structlog
from aiokafka.errors import KafkaError

from projector.assignment.assignment import Assignment
from projector.assignment.partition import Partition
from projector.errors import PositionMovedError, ProjectorError
from projector.log.consumer import Log
from projector.projector import Projector
from projector.store.live import Live

SILENT_AFTER_SECONDS: Final = 5.0  # so old is the newest heartbeat of a projection that nobody projects

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
        """Write log ends of our partitions, and have the projector react when the stored positions are not ours."""
        partitions = {partition.name: partition for partition in self._assignment.partitions.values()}
        self.is_projected = bool(partitions)
        if not partitions:
            if self._projector.is_idle:
                await self._look_for_others()
            return
        try:
            heartbeats = self._store.generation.heartbeats
            asked_at = await heartbeats.clocks()
            ends = await self._ends(partitions)
            settled = {name: item.next for name, item in partitions.items() if item.is_settled}
            await self._store.check_pointer()
            stored = await heartbeats.beat(ends, asked_at)
        except ProjectorError as error:
            self._projector.interrupt(error)
            raise
        self._compare(partitions, settled, stored)
        if missing := partitions.keys() - ends.keys():
            raise TimeoutError(f"Kafka does not say where {', '.join(sorted(missing))} ends")

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

    async def _ends(self, partitions: Mapping[str, Partition]) -> dict[str, int]:
        """Return the log's end of each of our partitions, which they learn too, as far as Kafka says it."""
        ends = await self._log.ends_known([partition.topic_partition for partition in partitions.values()])
        for partition in partitions.values():
            if (end := ends.get(partition.topic_partition)) is None:
                partition.doubt()
            else:
                partition.end = end
        return {name: ends[item.topic_partition] for name, item in partitions.items() if item.topic_partition in ends}

    def _compare(
        self, partitions: Mapping[str, Partition], settled: Mapping[str, int], stored: Mapping[str, tuple[int, ...]]
    ) -> None:
        """Compare positions, of partitions that stood still while they were read."""
        for name, positions in stored.items():
            partition = partitions[name]
            is_ours = self._assignment.partitions.get(partition.topic_partition) is partition
            stood_still = partition.is_settled and settled.get(name) == partition.next
            if is_ours and stood_still and positions != partition.stored:
                self._projector.interrupt(PositionMovedError(name, partition.applied, min(positions)))

    def _note(self, trouble: str | None) -> None:
        if trouble and trouble != self.trouble:
            _log.warning("no heartbeat", detail=trouble)
        self.trouble = trouble

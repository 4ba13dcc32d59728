"""The heartbeat: each second, how far the log goes is written beside the positions, and those are compared with ours.

So an idle projector finds out that Redis was emptied or lost writes, readers know how fresh an answer is, and a process
that is alive but stuck is found and ended.
"""

import asyncio
import contextlib
import gc
from typing import Final

import structlog
from aiokafka.errors import KafkaError

from projector.assignment.assignment import Assignment
from projector.assignment.partition import Partition
from projector.errors import DamagedBucketError, PositionMovedError, ProjectorError
from projector.log.consumer import Log
from projector.metrics import Metrics
from projector.projector import Projector
from projector.store.live import Store
from projector.store.memory import EvictionWatch
from projector.watchdog import Watchdog

INTERVAL_SECONDS: Final = 1.0
COMMIT_TIMEOUT_SECONDS: Final = 3.0
COMMIT_EVERY_BEATS: Final = 5
COLLECT_EVERY_BEATS: Final = 30  # the process collects garbage only here, see cycles.py
SILENT_AFTER_SECONDS: Final = 5.0  # so old is the newest heartbeat of a projection that nobody projects

_log = structlog.get_logger(__name__)


class Heartbeat:
    """Confirms positions and log ends until it is cancelled."""

    def __init__(
        self,
        projector: Projector,
        assignment: Assignment,
        log: Log,
        store: Store,
        *,
        eviction: EvictionWatch,
        metrics: Metrics,
    ) -> None:
        self._projector = projector
        self._assignment = assignment
        self._log = log
        self._store = store
        self._eviction = eviction
        self._metrics = metrics
        self._watchdog = Watchdog()
        self._is_projected = True
        self.trouble: str | None = "no heartbeat yet"

    async def run(self) -> None:
        """Beat for ever; ServiceUnavailableError when only a new process helps."""
        beats = 0
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            try:
                await self.beat()
            except (KafkaError, TimeoutError, ProjectorError) as error:
                self._note(str(error) or type(error).__name__)
            else:
                self._note(None)
            beats += 1
            if beats % COMMIT_EVERY_BEATS == 0:
                await self._commit()
                await self._account()
                await self._look_for_eviction()
            if beats % COLLECT_EVERY_BEATS == 0:
                gc.collect()
            self._watch()

    async def beat(self) -> None:
        """Write log ends of our partitions, and have the projector react when the stored positions are not ours."""
        partitions = {partition.name: partition for partition in self._assignment.partitions.values()}
        self._is_projected = bool(partitions)
        if not partitions:
            if self._projector.is_idle:
                await self._look_for_others()
            return
        try:
            asked_at = await self._store.clocks()
            ends = await self._ends(partitions)
            was_idle, handed_over = self._projector.is_idle, self._projector.handed_over
            await self._store.check_pointer()
            stored = await self._store.heartbeat(ends, asked_at)
        except ProjectorError as error:
            self._projector.interrupt(error)
            raise
        if was_idle and self._projector.is_idle and handed_over == self._projector.handed_over:
            self._compare(partitions, stored)
        if missing := partitions.keys() - ends.keys():
            raise TimeoutError(f"Kafka does not say where {', '.join(sorted(missing))} ends")

    async def _look_for_others(self) -> None:
        """Find out whether anybody projects while nothing is assigned to us; KafkaError when Kafka does not answer."""
        await self._log.ends()
        try:
            await self._store.check_pointer()
            age_seconds = await self._store.heartbeat_age_seconds()
        except ProjectorError as error:
            self._projector.interrupt(error)
            raise
        self._is_projected = age_seconds < SILENT_AFTER_SECONDS

    async def _ends(self, partitions: dict[str, Partition]) -> dict[str, int]:
        """Return the log's end of each of our partitions, which they learn too, as far as Kafka says it."""
        ends = await self._log.ends_known([partition.topic_partition for partition in partitions.values()])
        for partition in partitions.values():
            if (end := ends.get(partition.topic_partition)) is None:
                partition.doubt()
            else:
                partition.end = end
        return {name: ends[item.topic_partition] for name, item in partitions.items() if item.topic_partition in ends}

    def _compare(self, partitions: dict[str, Partition], stored: dict[str, tuple[int, ...]]) -> None:
        for name, positions in stored.items():
            partition = partitions[name]
            is_ours = self._assignment.partitions.get(partition.topic_partition) is partition
            if is_ours and list(positions) != partition.stored:
                self._projector.interrupt(PositionMovedError(name, partition.applied, min(positions)))

    async def _commit(self) -> None:
        """Tell Kafka, for tools that show lag; it does not matter when this fails."""
        positions = {item: partition.applied for item, partition in self._assignment.partitions.items()}
        with contextlib.suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(COMMIT_TIMEOUT_SECONDS):
                await self._log.commit(positions)

    async def _account(self) -> None:
        """Show the ledgers in the metrics, and find out what is damaged; the next time will do when this fails."""
        with contextlib.suppress(ProjectorError):
            try:
                for bucket in self._store.buckets:
                    await self._store.find(self._store.pointer, bucket)
                for name, account in (await self._store.ledgers()).items():
                    self._metrics.show(name, account)
            except DamagedBucketError as error:
                self._projector.interrupt(error)

    async def _look_for_eviction(self) -> None:
        await self._eviction.look()
        self._metrics.evicted_keys.set(self._eviction.evicted_keys)

    def _watch(self) -> None:
        """Show where our partitions stand, and end the process when it gets nowhere."""
        partitions = self._assignment.partitions.values()
        for partition in partitions:
            self._metrics.lag.labels(partition.name).set(max(0, partition.end - partition.applied))
            self._metrics.position.labels(partition.name).set(partition.applied)
        self._metrics.held.set(len(self._assignment.held))
        self._watchdog.look(partitions, self.trouble or self._projector.trouble, is_projected=self._is_projected)

    def _note(self, trouble: str | None) -> None:
        if trouble and trouble != self.trouble:
            _log.warning("no heartbeat", detail=trouble)
        self.trouble = trouble

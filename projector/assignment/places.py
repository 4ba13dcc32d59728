"""Where partitions stand: their positions come from Redis, never from Kafka's group, and what the log lacks is seen."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

import structlog
from aiokafka import TopicPartition

from projector.assignment.gaps import Gap, move_past
from projector.assignment.partition import HOLD_RETRY_SECONDS, Hold, Partition, after
from projector.assignment.shown import Shown
from projector.errors import DeadLetterError
from projector.fold.record import fingerprint_offset
from projector.log.consumer import Log, LogRange
from projector.store.generation import Opened, Standing
from schemas.redis_layout import EVENTS_GONE, LOG_REPLACED, partition_name

REPLACED: Final = (
    "the topic was re-created or cut, so this projection is of another log; to fold the log that is there, export the "
    "projection and let `python -m projector verify --repair --trust-log` mend it, or set another REDIS_PREFIX"
)
_TRUNCATED: Final = "go on without them by `python -m projector skip --to-log-start` or KAFKA_ACCEPT_TRUNCATED_LOG=true"
_ACCEPTED: Final = "KAFKA_ACCEPT_TRUNCATED_LOG is set"

PassOver = Callable[[Gap], Awaitable[None]]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a partition stands, what the log holds of it, who leads it, and what a gap before that is held for."""

    standing: Standing
    held: LogRange
    leader: int | None
    hold: Hold | None

    def partition(self, item: TopicPartition) -> Partition:
        """Return the partition at this place; held when the log does not go on from there."""
        first = min(self.standing.next)
        partition = Partition(item, self.standing.next, first, self.leader, applied=first, end=self.held.end)
        if first > self.held.end:
            reason = f"the log ends at {self.held.end}, before position {first}: {REPLACED}"
            partition.hold = Hold(LOG_REPLACED, reason)
        elif first < self.held.start:
            gap = Gap(partition.name, first, self.held.start)
            partition.hold = self.hold or Hold(EVENTS_GONE, _gone(gap, _TRUNCATED))
        else:
            fingerprint = self.standing.fingerprint
            # Where somebody changed the position alone, the fingerprint is of another record than the one before it.
            if fingerprint and self.held.start <= fingerprint_offset(fingerprint) < first:
                partition.fingerprint = fingerprint
        return partition


class Places:
    """Finds out where partitions stand, once what can be passed over before the log's start is passed over."""

    def __init__(self, log: Log, store: Opened, pass_over: PassOver | None) -> None:
        self._log = log
        self._store = store
        # None: what is gone is held until a person has decided.
        self._pass_over = pass_over
        self._shown = Shown(store)

    def remember(self, partition: Partition) -> None:
        """Remember how far a partition had come that is about to be placed anew."""
        self._shown.remember(partition)

    async def find(self, items: Collection[TopicPartition]) -> dict[TopicPartition, Place]:
        """Return the place of each partition whose leader answers; StoreUnavailableError or KafkaError."""
        leaders = {item: self._log.leader(item) for item in items}  # before anything is asked or fetched
        ranges = await self._log.ranges(items)
        if not ranges:
            return {}
        names = {item: partition_name(item.topic, item.partition) for item in ranges}
        by_name = {names[item]: held for item, held in ranges.items()}
        standings = await self._standings(by_name)
        await self._pass_noted(standings)
        holds = await self._pass_gaps(by_name, standings)
        return {
            item: Place(standings[names[item]], held, leaders[item], holds.get(names[item]))
            for item, held in ranges.items()
        }

    async def _standings(self, ranges: Mapping[str, LogRange]) -> dict[str, Standing]:
        """Return where each partition stands; from readers it is hidden first when that is less than they have seen."""
        standings = await self._store.generation.standings(list(ranges))
        await self._shown.hide_lost(standings, {name: held.end for name, held in ranges.items()})
        return standings

    async def _pass_noted(self, standings: dict[str, Standing]) -> None:
        """Pass over what somebody has decided to pass over, wherever that was not done yet."""
        noted = await self._store.passed_over()
        for name, ranges in noted.items():
            for start, end in sorted(ranges.items()):
                if name in standings and start <= (position := min(standings[name].next)) < end:
                    await move_past(Gap(name, position, end), self._store.generation)
                    standings |= await self._store.generation.standings([name])

    async def _pass_gaps(self, ranges: Mapping[str, LogRange], standings: dict[str, Standing]) -> dict[str, Hold]:
        """Pass over what is gone before the log's start, if that may be; return why partitions must wait for it."""
        holds: dict[str, Hold] = {}
        for name, held in ranges.items():
            gap = Gap(name, min(standings[name].next), held.start)
            if self._pass_over is None or gap.start >= gap.to:
                continue
            try:
                await self._pass_over(gap)
            except DeadLetterError as error:
                holds[name] = Hold(EVENTS_GONE, _gone(gap, str(error)), after(HOLD_RETRY_SECONDS))
            else:
                _log.warning("passed over", partition=name, reason=_gone(gap, _ACCEPTED))
                standings |= await self._store.generation.standings([name])
        return holds


def _gone(gap: Gap, consequence: str) -> str:
    return f"events {gap.start} to {gap.to - 1} are gone from the log: {consequence}"

"""How whole the projection is where the events of a job are, out of what a bucket keeps beside its jobs."""

from collections.abc import Iterable, Mapping
from typing import Final

from schemas.diagnosis.case import Part
from schemas.event_time import sortable_timestamp
from schemas.redis_layout import Heartbeat

HEARTBEAT_VALID_MILLISECONDS: Final = 5000
# A heartbeat further ahead than this is of another clock, so nobody knows how old it is.
HEARTBEAT_AHEAD_MILLISECONDS: Final = 1000


def part_of(
    partitions: Iterable[str], positions: Mapping[bytes, int], heartbeats: Mapping[bytes, Heartbeat], milliseconds: int
) -> Part:
    """Return how whole these partitions of a bucket are at a time by Redis' clock."""
    names = [name.encode() for name in partitions]
    known = {name: heartbeats[name] for name in names if name in heartbeats}
    held = tuple(sorted({heartbeat.code for heartbeat in known.values() if heartbeat.code}))
    times = [heartbeat.milliseconds for heartbeat in known.values()]
    if len(times) < len(names) or max(times) - milliseconds > HEARTBEAT_AHEAD_MILLISECONDS:
        return Part(None, None, is_current=False, held=held)
    ends = {name: heartbeat.end for name, heartbeat in known.items() if heartbeat.end is not None}
    lag = sum(max(0, end - positions.get(name, 0)) for name, end in ends.items())
    is_current = milliseconds - min(times) <= HEARTBEAT_VALID_MILLISECONDS
    return Part(lag if len(ends) == len(names) else None, sortable_timestamp(min(times)), is_current, held)

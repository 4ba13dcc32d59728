"""Where a bucket stands, and how fresh what it shows is.

A bucket says so itself, in the same step in which it answers lookups. All of this is arithmetic on that one reply.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final, NamedTuple

from schemas.diagnosis.part import HEARTBEAT_AHEAD_MILLISECONDS, HEARTBEAT_VALID_MILLISECONDS
from schemas.redis_layout import FLOOR, INCARNATION, SEALED, SIFT, Heartbeat, Sift, number_in

_FLOOR: Final = FLOOR.encode()
_INCARNATION: Final = INCARNATION.encode()
_SEALED: Final = SEALED.encode()
_SIFT: Final = SIFT.encode()
_REMEMBERED: Final = 256
# Partition name -> offset.
Offsets = Mapping[bytes, int]


class Freshness(NamedTuple):
    """Events known to be in the log and not yet applied, since when that is known, and what does not go on.

    None where unknown. The time is in Unix seconds; what does not go on is told by the codes of `schemas.redis_layout`.
    """

    lag: int | None
    heartbeat: int | None
    held: tuple[str, ...] = ()

    def lowest(self, other: "Freshness") -> "Freshness":
        """Return how fresh what was read at both times is, taken together."""
        if self == other:
            return self
        lag = None if self.lag is None or other.lag is None else max(self.lag, other.lag)
        since = None if self.heartbeat is None or other.heartbeat is None else min(self.heartbeat, other.heartbeat)
        return Freshness(lag, since, tuple(sorted({*self.held, *other.held})))


@dataclass(frozen=True)
class Standing:
    """What a bucket says of itself."""

    incarnation: str | None
    is_sealed: bool
    sift: Sift | None
    floors: Offsets
    positions: Offsets
    heartbeats: Mapping[bytes, Heartbeat]

    @property
    def partitions(self) -> frozenset[bytes]:
        """Every partition the bucket knows of."""
        return frozenset(self.floors) | self.positions.keys() | self.heartbeats.keys()

    @cached_property
    def confirmed(self) -> "Confirmed":
        """What the heartbeats of this bucket alone say."""
        return confirmed([self])


class Confirmed(NamedTuple):
    """What heartbeats say, however old they are.

    The lag is None when that of a partition is not known; the times of the oldest and the newest when there is none.
    Complete is what has a heartbeat of every partition.
    """

    lag: int | None
    oldest: int | None
    newest: int | None
    held: tuple[str, ...]
    is_complete: bool


def standing(reply: Sequence[Any]) -> Standing:
    """Return what the script's reply says of the bucket; ValueError or TypeError when that is damaged."""
    _, meta, positions, heartbeats = reply[:4]
    return _standing(tuple(meta), tuple(positions), tuple(heartbeats))


# Thousands of calls a second find a bucket that has not moved since the one before.
@lru_cache(maxsize=_REMEMBERED)
def _standing(flat_meta: Sequence[bytes], positions: Sequence[bytes], heartbeats: Sequence[bytes]) -> Standing:
    meta = _pairs(flat_meta)
    incarnation = meta.get(_INCARNATION)
    return Standing(
        incarnation.decode() if incarnation is not None else None,
        _SEALED in meta,
        Sift.of(meta[_SIFT]) if _SIFT in meta else None,
        {name[len(_FLOOR) :]: number_in(offset) for name, offset in meta.items() if name.startswith(_FLOOR)},
        {name: number_in(offset) for name, offset in _pairs(positions).items()},
        {name: Heartbeat.of(value) for name, value in _pairs(heartbeats).items()},
    )


def confirmed(buckets: Sequence[Standing]) -> Confirmed:
    """Return what the heartbeats of all these buckets say; a partition's position is the smallest of all buckets."""
    partitions = frozenset().union(*(bucket.partitions for bucket in buckets))
    heartbeats = [bucket.heartbeats.get(name) for bucket in buckets for name in partitions]
    known = [heartbeat for heartbeat in heartbeats if heartbeat is not None]
    held = tuple(sorted({heartbeat.code for heartbeat in known if heartbeat.code}))
    times = [heartbeat.milliseconds for heartbeat in known]
    oldest, newest = min(times, default=None), max(times, default=None)
    is_complete = len(known) == len(heartbeats) > 0
    is_known = is_complete and all(heartbeat.end is not None for heartbeat in known)
    lag = sum(_lag(buckets, name) for name in partitions) if is_known else None
    return Confirmed(lag, oldest, newest, held, is_complete)


def freshness(buckets: Sequence[Standing], milliseconds: int) -> Freshness:
    """Return how fresh an answer out of these buckets is at a time by Redis' clock.

    One heartbeat that is missing, old or ahead makes the lag unknown.
    """
    lag, oldest, newest, held, _ = buckets[0].confirmed if len(buckets) == 1 else confirmed(buckets)
    if oldest is None or newest is None:
        return Freshness(None, None, held)
    is_current = (
        milliseconds - oldest <= HEARTBEAT_VALID_MILLISECONDS and newest - milliseconds <= HEARTBEAT_AHEAD_MILLISECONDS
    )
    return Freshness(lag if is_current else None, oldest // 1000, held)


def _lag(buckets: Iterable[Standing], partition: bytes) -> int:
    end = max(bucket.heartbeats[partition].end or 0 for bucket in buckets)
    return max(0, end - min(bucket.positions.get(partition, 0) for bucket in buckets))


def _pairs(flat: Sequence[bytes]) -> Mapping[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))

"""Where a bucket stands, and how fresh what it shows is.

A bucket says so itself, in the same step in which it answers lookups. All of this is arithmetic on that one reply.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from typing import Any, Final, NamedTuple

from schemas.redis_layout import FLOOR, INCARNATION, SEALED, number_in

HEARTBEAT_VALID_MILLISECONDS: Final = 5000

_FLOOR: Final = FLOOR.encode()
_INCARNATION: Final = INCARNATION.encode()
_SEALED: Final = SEALED.encode()
_REMEMBERED: Final = 256
# Partition name -> offset.
Offsets = Mapping[bytes, int]


class Heartbeat(NamedTuple):
    """When the projector last looked at the log, by Redis' clock, and where the log ended then."""

    milliseconds: int
    end: int


class Freshness(NamedTuple):
    """Events known to be in the log and not yet applied, and since when that is known; None where unknown."""

    lag: int | None
    heartbeat: str | None


@dataclass(frozen=True)
class Standing:
    """What a bucket says of itself."""

    incarnation: str | None
    is_sealed: bool
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
    """What heartbeats say, however old: the lag, None when one is missing; and the oldest, None when there is none."""

    lag: int | None
    oldest: Heartbeat | None


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
        {name[len(_FLOOR) :]: number_in(offset) for name, offset in meta.items() if name.startswith(_FLOOR)},
        {name: number_in(offset) for name, offset in _pairs(positions).items()},
        {name: Heartbeat(*map(number_in, value.split(b" "))) for name, value in _pairs(heartbeats).items()},
    )


def confirmed(buckets: Sequence[Standing]) -> Confirmed:
    """Return what the heartbeats of all these buckets say; a partition's position is the smallest of all buckets."""
    partitions = frozenset().union(*(bucket.partitions for bucket in buckets))
    heartbeats = [bucket.heartbeats.get(name) for bucket in buckets for name in partitions]
    known = [heartbeat for heartbeat in heartbeats if heartbeat is not None]
    is_complete = len(known) == len(heartbeats) > 0
    lag = sum(_lag(buckets, name) for name in partitions) if is_complete else None
    return Confirmed(lag, min(known, default=None))


def freshness(buckets: Sequence[Standing], milliseconds: int) -> Freshness:
    """Return how fresh an answer out of these buckets is at a time by Redis' clock.

    One heartbeat that is missing or old makes the lag unknown.
    """
    lag, oldest = buckets[0].confirmed if len(buckets) == 1 else confirmed(buckets)
    if oldest is None:
        return Freshness(None, None)
    is_current = milliseconds - oldest.milliseconds <= HEARTBEAT_VALID_MILLISECONDS
    return Freshness(lag if is_current else None, _iso(oldest.milliseconds // 1000))


def _lag(buckets: Iterable[Standing], partition: bytes) -> int:
    end = max(bucket.heartbeats[partition].end for bucket in buckets)
    return max(0, end - min(bucket.positions.get(partition, 0) for bucket in buckets))


@lru_cache(maxsize=_REMEMBERED)
def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _pairs(flat: Sequence[bytes]) -> Mapping[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))

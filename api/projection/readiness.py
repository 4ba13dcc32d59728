"""Whether a bucket may be shown: it is the one that was announced, has caught up, and has what was shown before.

A Redis that lost its last second, or a replica that was promoted too early, is behind what was already shown: time
must not run backwards for those who ask this process. The projector repairs that by itself; until then there is no
right answer.

Several calls are under way at once and may come back in any order. So an answer is held against the watermark that was
known when it was asked for, not against what another one brought meanwhile.
"""

from collections.abc import Iterable
from typing import Final

from api.projection.errors import NotReadyError, StaleGenerationError, UnconfirmedError
from api.projection.generation import Bucket
from api.projection.standing import Offsets, Standing
from schemas.diagnosis.part import HEARTBEAT_AHEAD_MILLISECONDS
from schemas.event_time import iso_seconds, sortable_timestamp
from schemas.redis_layout import SIFT_ROUNDS

_NOTHING: Offsets = {}
# One more each time that a bucket is begun again: far more than a process lives to see.
_REMEMBERED: Final = 100


class Readiness:
    """For each bucket the incarnations that were shown, and the highest position of each partition answered from.

    A new incarnation begins below what another one has shown, and its floors see to the rest. One that comes back,
    as on a replica that had not heard of the new one, is held against all that was shown since.

    With a limit for its age, what nobody has confirmed for longer is not shown.
    """

    def __init__(self, max_staleness_seconds: float | None = None) -> None:
        self._max_staleness_seconds = max_staleness_seconds
        # By incarnation, the one shown last at the end.
        self._highest: dict[tuple[int, int], dict[str, Offsets]] = {}

    def watermark(self, bucket: Bucket) -> Offsets:
        """Return what an answer that is asked for from now on must not be below."""
        shown = self._highest.get((bucket.generation, bucket.number), {})
        if bucket.incarnation not in shown:
            return _NOTHING
        last = next(reversed(shown))
        return shown[last] if last == bucket.incarnation else _highest_of(shown.values())

    def check(self, bucket: Bucket, now: Standing, watermark: Offsets) -> None:
        """Raise NotReadyError, saying how far it is, unless the bucket may be shown; remember that it is shown."""
        _check_incarnation(bucket, now)
        _check_floors(now)
        _check_not_behind(now, watermark)
        self._raise_to(bucket, now.positions)

    def check_confirmed(self, now: Standing, milliseconds: int) -> None:
        """Raise UnconfirmedError when the bucket is older, at a time by its own clock, than may be shown."""
        if self._max_staleness_seconds is None:
            return
        _, oldest, newest, _, is_complete = now.confirmed
        if oldest is None or newest is None or not is_complete:
            raise UnconfirmedError("Nobody has confirmed the projection yet: no projector runs that reaches Kafka")
        if newest - milliseconds > HEARTBEAT_AHEAD_MILLISECONDS:
            raise UnconfirmedError("Nobody knows how old the projection is: its heartbeat is ahead of the store")
        if milliseconds - oldest > self._max_staleness_seconds * 1000:
            since = iso_seconds(sortable_timestamp(oldest))
            raise UnconfirmedError(
                f"Nobody has confirmed the projection since {since}: no projector runs that reaches Kafka"
            )

    def _raise_to(self, bucket: Bucket, positions: Offsets) -> None:
        highest = self.watermark(bucket)
        shown = self._highest.setdefault((bucket.generation, bucket.number), {})
        is_last = bool(shown) and next(reversed(shown)) == bucket.incarnation
        if is_last and not any(highest.get(name, -1) < offset for name, offset in positions.items()):
            return
        shown.pop(bucket.incarnation, None)
        shown[bucket.incarnation] = _highest_of([highest, positions])
        if len(shown) > _REMEMBERED:
            del shown[next(iter(shown))]


def _highest_of(offsets: Iterable[Offsets]) -> Offsets:
    """Return the highest offset of each partition."""
    highest: dict[bytes, int] = {}
    for each in offsets:
        for name, offset in each.items():
            highest[name] = max(highest.get(name, 0), offset)
    return highest


def _check_incarnation(bucket: Bucket, now: Standing) -> None:
    if now.incarnation is None:
        raise StaleGenerationError("The projection is gone from the store: the projector begins it again")
    if now.incarnation != bucket.incarnation:
        raise StaleGenerationError("The projection was replaced and is not announced yet")


def _check_floors(now: Standing) -> None:
    """Floors must be reached, in each of the rounds when it is sifted."""
    if now.sift or any(now.positions.get(name, 0) < floor for name, floor in now.floors.items()):
        done = sum(min(now.positions.get(name, 0), floor) for name, floor in now.floors.items())
        percent = 100 * done // max(1, sum(now.floors.values()))
        if now.sift:
            percent = (100 * (now.sift.round - 1) + percent) // SIFT_ROUNDS
        raise NotReadyError(f"The projection is rebuilding, {min(percent, 99)} %")


def _check_not_behind(now: Standing, watermark: Offsets) -> None:
    missing = sum(max(0, offset - now.positions.get(name, 0)) for name, offset in watermark.items())
    if missing:
        raise NotReadyError(f"The store lost events it had already shown: {missing} are being applied again")

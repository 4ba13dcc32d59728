"""Whether a bucket may be shown: it is the one that was announced, has caught up, and has what was shown before.

A Redis that lost its last second, or a replica that was promoted too early, is behind what was already shown: time
must not run backwards for those who ask this process. The projector repairs that by itself; until then there is no
right answer.

Several calls are under way at once and may come back in any order. So an answer is held against the watermark that was
known when it was asked for, not against what another one brought meanwhile.
"""

from api.projection.errors import NotReadyError, StaleGenerationError, UnconfirmedError
from api.projection.generation import Bucket
from api.projection.standing import HEARTBEAT_AHEAD_MILLISECONDS, Offsets, Standing
from schemas.event_time import iso_seconds, sortable_timestamp
from schemas.redis_layout import SIFT_ROUNDS

_NOTHING: Offsets = {}


class Readiness:
    """For each bucket the incarnation last seen, and the highest position of each partition answered from.

    With a limit for its age, what nobody has confirmed for longer is not shown.
    """

    def __init__(self, max_staleness_seconds: float | None = None) -> None:
        self._max_staleness_seconds = max_staleness_seconds
        self._highest: dict[tuple[int, int], tuple[str, Offsets]] = {}

    def watermark(self, bucket: Bucket) -> Offsets:
        """Return what an answer that is asked for from now on must not be below."""
        incarnation, highest = self._highest.get((bucket.generation, bucket.number), ("", _NOTHING))
        return highest if incarnation == bucket.incarnation else _NOTHING

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
        if any(highest.get(name, -1) < offset for name, offset in positions.items()):
            raised = {name: max(highest.get(name, 0), offset) for name, offset in ({**highest, **positions}).items()}
            self._highest[bucket.generation, bucket.number] = (bucket.incarnation, raised)


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

"""The highest positions that this process has answered from: time must not run backwards for those who ask it.

A Redis that lost its last second, or a replica that was promoted too early, is behind what was already shown. The
projector repairs that by itself; until then there is no right answer.

Several calls are under way at once and may come back in any order. So an answer is held against what was known when
it was asked for, not against what another one brought meanwhile.
"""

from api.errors import NotReadyError
from api.projection.generation import Bucket
from api.projection.standing import Offsets

_NOTHING: Offsets = {}


class Watermarks:
    """For each bucket the incarnation last seen, and the highest position of each partition answered from."""

    def __init__(self) -> None:
        self._highest: dict[tuple[int, int], tuple[str, Offsets]] = {}

    def of(self, bucket: Bucket) -> Offsets:
        """Return what an answer that is asked for from now on must not be below."""
        incarnation, highest = self._highest.get((bucket.generation, bucket.number), ("", _NOTHING))
        return highest if incarnation == bucket.incarnation else _NOTHING

    def raise_to(self, bucket: Bucket, positions: Offsets) -> None:
        """Remember that an answer was given from these positions."""
        highest = self.of(bucket)
        if any(highest.get(name, -1) < offset for name, offset in positions.items()):
            raised = {name: max(highest.get(name, 0), offset) for name, offset in ({**highest, **positions}).items()}
            self._highest[bucket.generation, bucket.number] = (bucket.incarnation, raised)


def check_not_behind(positions: Offsets, watermark: Offsets) -> None:
    """Raise NotReadyError when a position is below what was answered from before."""
    missing = sum(max(0, offset - positions.get(name, 0)) for name, offset in watermark.items())
    if missing:
        raise NotReadyError(f"The store lost events it had already shown: {missing} are being applied again")

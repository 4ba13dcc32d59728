"""What readers may have seen, and must not see taken back when Redis has lost it."""

from collections.abc import Mapping

from projector.assignment.partition import Partition
from projector.store.generation import Opened, Standing
from schemas.redis_layout import Pointer


class Shown:
    """The positions that partitions had reached before they were forgotten, in one generation."""

    def __init__(self, store: Opened) -> None:
        self._store = store
        self._reached: dict[str, int] = {}
        self._generation: Pointer | None = None

    def remember(self, partition: Partition) -> None:
        """Remember how far a partition had come that is about to be forgotten."""
        self._in(self._store.generation.pointer)
        self._reached[partition.name] = max(partition.applied, self._reached.get(partition.name, 0))

    async def hide_lost(self, standings: Mapping[str, Standing], log_ends: Mapping[str, int]) -> None:
        """Have readers wait until what was reached, and is not stored any more, has been applied again.

        No further than the log goes: what it does not hold it cannot bring back. Of another generation nothing was
        lost: somebody went to it on purpose. Raises StoreUnavailableError; then nothing is forgotten.
        """
        self._in(self._store.generation.pointer)
        reached = {name: min(self._reached.get(name, 0), log_ends[name]) for name in standings}
        lost = {name: position for name, position in reached.items() if position > min(standings[name].next)}
        if lost:
            await self._store.generation.buckets.raise_floors(lost)
        for name in standings:
            self._reached.pop(name, None)

    def _in(self, generation: Pointer) -> None:
        if generation != self._generation:
            self._generation = generation
            self._reached.clear()

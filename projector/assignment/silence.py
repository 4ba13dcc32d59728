"""How long partitions have brought nothing though the log has more of them: what only a stuck consumer explains.

It is the time that polls waited in vain, not that of the clock: who is busy with others, or works slowly, is not stuck.
It is remembered by name, so that a partition which is placed again and again is none that gets on.
"""

from collections.abc import Collection, Iterable

from projector.assignment.partition import Partition


class Silence:
    """The seconds for which each partition was waited for in vain."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def note(self, partitions: Iterable[Partition], heard: Collection[str], seconds: float) -> None:
        """Note a poll that took so long, left nothing that was fetched, and brought something of those heard."""
        self._seconds = {
            partition.name: self._seconds.get(partition.name, 0.0) + seconds
            for partition in partitions
            if partition.end > partition.next and partition.hold is None and partition.name not in heard
        }

    def break_for(self, heard: Collection[str]) -> None:
        """Note that these brought something."""
        for name in heard:
            self._seconds.pop(name, None)

    def of(self, partition: Partition) -> float:
        """Return for how many seconds a partition was waited for."""
        return self._seconds.get(partition.name, 0.0)

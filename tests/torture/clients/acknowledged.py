"""What Kafka has acknowledged, and when: from then on nobody may say that it is not in the log."""

from bisect import bisect_right
from collections import defaultdict


class Acknowledged:
    """The end of each partition, as acknowledgements told it."""

    def __init__(self) -> None:
        self._times: defaultdict[int, list[float]] = defaultdict(list)
        self._ends: defaultdict[int, list[int]] = defaultdict(list)

    def note(self, partition: int, offset: int, unix_seconds: float) -> None:
        """Note that a record was acknowledged; times never fall."""
        ends = self._ends[partition]
        if not ends or offset >= ends[-1]:
            self._times[partition].append(unix_seconds)
            ends.append(offset + 1)

    def end_at(self, partition: int, unix_seconds: float) -> int:
        """Return where the partition certainly ended at that time."""
        count = bisect_right(self._times[partition], unix_seconds)
        return self._ends[partition][count - 1] if count else 0

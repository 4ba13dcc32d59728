"""The ledger: what became of every offset of a partition, so that nothing is skipped without a trace."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.redis_layout import LEDGER

# The hash `positions` of one bucket, as Redis answers it.
StoredPositions = Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Ledger:
    """The counts of one partition over all buckets, below the position `next`.

    Events that changed a job, events that changed nothing because what they report was already known, records that
    became dead letters, and offsets that hold no record for us; settled when all buckets stand together. Only the sum
    is promised: after a replay an event that had been applied counts as known.
    """

    is_settled: bool
    next: int
    applied: int
    known: int
    dead_lettered: int
    no_record: int

    @property
    def is_closed(self) -> bool:
        """Whether every offset below `next` is accounted for; while buckets stand apart this cannot be told."""
        return self.unaccounted == 0

    @property
    def unaccounted(self) -> int:
        """How many offsets below `next` are not accounted for; 0 while buckets stand apart."""
        total = self.applied + self.known + self.dead_lettered + self.no_record
        return self.next - total if self.is_settled else 0

    def __str__(self) -> str:
        """Return the counts as words."""
        return (
            f"{self.next} = {self.applied} applied + {self.known} already known + {self.dead_lettered} dead letters + "
            f"{self.no_record} without a record"
        )


def ledgers(buckets: Sequence[StoredPositions]) -> dict[str, Ledger]:
    """Return the ledger of each partition, by its name, from the positions of every bucket."""
    names = {name.decode() for positions in buckets for name in positions if b"#" not in name}
    return {name: _ledger(name, buckets) for name in sorted(names)}


def _ledger(name: str, buckets: Sequence[StoredPositions]) -> Ledger:
    positions = [int(bucket.get(name.encode(), 0)) for bucket in buckets]
    sums = [sum(int(bucket.get((name + suffix).encode(), 0)) for bucket in buckets) for suffix in LEDGER]
    return Ledger(min(positions) == max(positions), min(positions), *sums)

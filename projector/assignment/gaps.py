"""Gaps: events that are gone or cannot be read, passed over by a person's decision.

The decision is a command, or beforehand the setting KAFKA_ACCEPT_TRUNCATED_LOG. A letter with the range is written
first, and the range is noted for later folds of the log; then the position moves in one step in every bucket, only from
where it stood, and the ledger counts the range as dead-lettered. A projector that holds the partition notices and goes
on.
"""

from dataclasses import dataclass

from projector.fold.batch import move
from projector.letters.headers import Decision
from projector.letters.writer import DeadLetterWriter
from projector.store.catalog import Catalog
from projector.store.generation import Generation


@dataclass(frozen=True, slots=True)
class Gap:
    """What is passed over in one partition: offsets from `start` up to, not including, `to`."""

    partition: str
    start: int
    to: int

    def __str__(self) -> str:
        """Return the sentence for people, once it was passed over."""
        return f"{self.partition}: skipped {self.to - self.start} offsets, {self.start} to {self.to - 1}"


async def pass_over(
    gap: Gap, generation: Generation, catalog: Catalog, letters: DeadLetterWriter, decision: Decision
) -> None:
    """Pass over a gap; raises DeadLetterError when its letter is not acknowledged."""
    await letters.deliver_range(gap.partition, gap.start, gap.to, decision)
    await catalog.note_skipped(gap.partition, gap.start, gap.to)
    await move_past(gap, generation)


async def move_past(gap: Gap, generation: Generation) -> None:
    """Move every bucket; one that already stands further than the others is reached in steps."""
    while True:
        stored = (await generation.standings([gap.partition]))[gap.partition].next
        start = min(stored)
        if start >= gap.to:
            return
        to = min([gap.to, *(position for position in stored if position > start)])
        await generation.apply(move(gap.partition, start, to, stored, dead_letters=to - start))

"""Gaps: events that are gone or cannot be read, passed over by a person's decision.

The decision is a command, or beforehand the setting KAFKA_ACCEPT_TRUNCATED_LOG. A letter with the range is written
first, and the range is noted for every fold of the log; then the position moves in one step in every bucket, only from
where it stood, and the ledger counts the range as dead-lettered. A projector that holds the partition notices and goes
on.

Case 1: it ends before the note. Nothing is decided; the letter is written again.
Case 2: it ends behind the note. Whoever places the partition next, in whatever generation, passes the range over.
Case 3: a projector applies some of the range meanwhile. The note is set right: it says what was passed over in fact.
"""

import contextlib
from dataclasses import dataclass

from projector.errors import PositionMovedError
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
    start = await move_past(gap, generation)
    if start != gap.start:
        await catalog.correct_skipped(gap.partition, gap.start, start, gap.to)


async def move_past(gap: Gap, generation: Generation) -> int:
    """Move every bucket; one that already stands further than the others is reached in steps.

    Returns where it began, which is beyond the gap's start when somebody has applied some of it.
    """
    began: int | None = None
    while True:
        stored = (await generation.standings([gap.partition]))[gap.partition].next
        start = min(stored)
        if start >= gap.to:
            return gap.start if began is None else began
        to = min([gap.to, *(position for position in stored if position > start)])
        with contextlib.suppress(PositionMovedError):  # somebody was faster: from where it stands now
            await generation.apply(move(gap.partition, start, to, stored, dead_letters=to - start))
            began = start if began is None else began

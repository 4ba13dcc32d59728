"""One batch in several steps, for a bucket that nobody reads yet: none of them keeps Redis from others for long.

What is folded together is still written once, and only the last step moves the positions. When we die before that one,
jobs are ahead of them; the batch is joined in again, which changes nothing of these, and their events count as known.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Final

from projector.fold.batch import MAX_SENT_CHARACTERS
from projector.store.apply import EncodedJob

# Where a job, as the script takes it, has how long its counts are, which end it: index of a span, events, ...
_COUNTS: Final = 4
# How many steps are sent at once, for which Redis takes some 10 ms in all.
STEPS_AT_ONCE: Final = 8


def in_steps(jobs: Sequence[EncodedJob], most_jobs: int) -> list[list[EncodedJob]]:
    """Return the jobs in steps of so many at most, of which the last counts the events of all."""
    *early, last = [list(jobs[at : at + most_jobs]) for at in range(0, len(jobs), most_jobs)] or [[]]
    counts: dict[Any, Any] = {}
    for job in chain.from_iterable(early):
        _move_counts(job, counts)
    if early:
        _move_counts(last[-1], counts)
        last[-1] += chain.from_iterable(counts.items())
        last[-1][_COUNTS] = 2 * len(counts)
    return [*early, last]


def sent_together(steps: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Yield packed steps, in their order, as many at a time as are sent at once."""
    start = size = 0
    for end, packed in enumerate(steps):
        if end > start and (end - start >= STEPS_AT_ONCE or size + len(packed) > MAX_SENT_CHARACTERS):
            yield steps[start:end]
            start, size = end, 0
        size += len(packed)
    if steps:
        yield steps[start:]


def _move_counts(job: Any, counts: dict[Any, Any]) -> None:
    """Take out of a job how many events came from which span, and add that to the counts."""
    start = len(job) - job[_COUNTS]
    for at in range(start, len(job), 2):
        counts[job[at]] = counts.get(job[at], 0) + job[at + 1]
    del job[start:]
    job[_COUNTS] = 0

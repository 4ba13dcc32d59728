r"""Refused events that name a job, as a bucket remembers them: of each job the newest, and of all these the newest.

Each is an entry `<member>\t<milliseconds>\t<record>\t<reason>` in two sorted sets: `refused`, where those of a job
stand together, and `refused-times`, by when they were recorded. What is remembered is a function of the set of all
entries: nothing that is pushed out could be among the newest of a larger set. So it is the same in any order, any
number of times, split in any way; and a flood of refused events, under whatever names, takes so much room and no more.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final, NamedTuple, Self

from schemas.diagnosis.case import Letter
from schemas.event_time import LATEST_MILLISECONDS, sortable_timestamp

# Of a job, and of all jobs of a bucket.
MAX_REFUSED: Final = 20
MAX_REFUSED_OF_BUCKET: Final = 10_000

_SEPARATOR: Final = "\t"
# Behind the separator in the order of bytes: what the entries of a member end before.
_BEHIND: Final = "\n"
_DIGITS: Final = len(str(LATEST_MILLISECONDS))


class RefusedEvent(NamedTuple):
    """An event that was refused though it names a job: when it was recorded, where, and why it was refused."""

    member: str
    milliseconds: int
    record: str
    reason: str

    @property
    def entry(self) -> str:
        """Return how it stands in both sets."""
        return _SEPARATOR.join((self.member, f"{self.milliseconds:0{_DIGITS}d}", self.record, self.reason))

    @property
    def letter(self) -> Letter:
        """Return what is told of it at its job."""
        return Letter(sortable_timestamp(self.milliseconds), self.record, self.reason)

    @classmethod
    def of(cls, entry: str) -> Self:
        """Return what an entry says; ValueError when it is none."""
        member, digits, record, reason = entry.split(_SEPARATOR)
        if len(digits) != _DIGITS or not digits.isdecimal() or int(digits) > LATEST_MILLISECONDS:
            raise ValueError(f"{digits!r} is no time")
        return cls(member, int(digits), record, reason)


def refused_event(member: str, timestamp: int, record: str, reason: str) -> RefusedEvent:
    """Return what is remembered of a record with this timestamp, in Unix milliseconds; 0 when it has none."""
    return RefusedEvent(member, min(max(timestamp, 0), LATEST_MILLISECONDS), record, reason)


def newest(entries: Iterable[str]) -> dict[str, int]:
    """Return what a bucket remembers of these entries, with their times.

    The script that applies a batch does the same to what is stored.
    """
    of_jobs: defaultdict[str, set[str]] = defaultdict(set)
    for entry in entries:
        of_jobs[RefusedEvent.of(entry).member].add(entry)
    kept = [entry for of_job in of_jobs.values() for entry in sorted(of_job)[-MAX_REFUSED:]]
    timed = sorted((RefusedEvent.of(entry).milliseconds, entry) for entry in kept)
    return {entry: milliseconds for milliseconds, entry in timed[-MAX_REFUSED_OF_BUCKET:]}


def letters_in(text: bytes) -> list[Letter]:
    """Return what lines, each an entry, say of a job; ValueError when one of them is none."""
    return [RefusedEvent.of(entry).letter for entry in text.decode().split(_BEHIND)]

"""The reports that Kafka has not acknowledged yet: in order, and not more than a limit."""

import asyncio
from asyncio import Future
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from worker.event import Report


class Acknowledgement(NamedTuple):
    """Where Kafka keeps a report now."""

    topic: str
    partition: int
    offset: int  # -1 when Kafka knows the record already and has forgotten where it is


class Entry(NamedTuple):
    """A report that waits, and who waits for it."""

    report: Report
    outcome: "Future[Acknowledgement]"


class Outbox:
    """A bounded queue whose entries leave it when they are settled, not when they are read."""

    def __init__(self, limit: int) -> None:
        """Hold at most so many reports."""
        self.limit = limit
        self._entries: deque[Entry] = deque()
        self._has_entries = asyncio.Event()
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    def __len__(self) -> int:
        """Return how many reports wait."""
        return len(self._entries)

    @property
    def is_full(self) -> bool:
        """Whether nothing more can be put in."""
        return len(self._entries) >= self.limit

    def put(self, report: Report) -> "Future[Acknowledgement]":
        """Queue a report; the future has its acknowledgement, or the error that ended it."""
        outcome: Future[Acknowledgement] = asyncio.get_running_loop().create_future()
        outcome.add_done_callback(_look_at)
        self._entries.append(Entry(report, outcome))
        self._note_length()
        return outcome

    async def first(self, count: int) -> Sequence[Entry]:
        """Wait until there is an entry; return up to so many of the oldest, which stay in."""
        await self._has_entries.wait()
        return list(islice(self._entries, count))

    def settle(self, entry: Entry, outcome: Acknowledgement | Exception) -> None:
        """Take an entry out and tell its outcome; harmless when it is out already."""
        if entry.outcome.done():
            return
        self._entries.remove(entry)  # it is among the first: cheap
        self._note_length()
        if isinstance(outcome, Acknowledgement):
            entry.outcome.set_result(outcome)
        else:
            entry.outcome.set_exception(outcome)

    async def emptied(self) -> None:
        """Return when nothing waits."""
        await self._is_empty.wait()

    def take_all(self) -> Sequence[Entry]:
        """Take out what is left, oldest first, for somebody to settle."""
        entries = tuple(self._entries)
        self._entries.clear()
        self._note_length()
        return entries

    def _note_length(self) -> None:
        for event, is_so in ((self._has_entries, bool(self._entries)), (self._is_empty, not self._entries)):
            (event.set if is_so else event.clear)()


def _look_at(outcome: "Future[Acknowledgement]") -> None:
    """Mark an error as seen: a report that nobody awaits is answered for at the end of `async with`."""
    if not outcome.cancelled():
        outcome.exception()

"""The reports that Kafka has not acknowledged yet: of each job and stage only those that count.

Of the reports of one stage the earliest gives its date, the latest is the last sign of life, and of each detail the
latest report that carries it counts. Whatever else waits would change no answer, so it need not be sent: a job that
reports for days while Kafka is away has a queue of some ten reports.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from threading import Lock
from typing import Final
from weakref import WeakSet

from operator_status.event import Report
from operator_status.job import Acknowledgement


class Entry:
    """A report that waits, and who waits for it."""

    def __init__(self, report: Report) -> None:
        """Begin with nobody who waits."""
        self.report = report
        self.outcomes: WeakSet[Future[Acknowledgement]] = WeakSet()
        self.is_kept = False  # on disk

    def take_over(self, other: "Entry") -> None:
        """Let who waits for another entry wait for this one; the fewer join the more, so that many cost little."""
        fewer, more = sorted((self.outcomes, other.outcomes), key=len)
        more |= fewer
        self.outcomes, other.outcomes = more, WeakSet()


class Outbox:
    """A bounded queue for any thread; an entry leaves it when it is settled, or when later reports outweigh it."""

    def __init__(self, limit: int) -> None:
        """Hold at most so many reports."""
        self.limit: Final = limit
        self.changed: Callable[[], None] = lambda: None
        self._lock = Lock()
        self._entries: list[Entry] = []
        self._gone: list[Entry] = []

    def __len__(self) -> int:
        """Return how many reports wait."""
        return len(self._entries)

    def put(self, report: Report) -> Future[Acknowledgement] | None:
        """Queue a report; the future has its acknowledgement, or the error that ended it. None when there is no room.

        Whoever waits for a report that is outweighed waits for the one that was put last.
        """
        entry = Entry(report)
        outcome: Future[Acknowledgement] = Future()
        entry.outcomes.add(outcome)
        with self._lock:
            alike = [other for other in self._entries if other.report.of == report.of]
            counting = _counting([*alike, entry])
            outweighed = [other for other in alike if other not in counting]
            if len(self._entries) - len(outweighed) >= self.limit:
                return None
            for other in outweighed:
                entry.take_over(other)
                self._entries.remove(other)
            self._entries.append(entry)
            self._gone += [other for other in outweighed if other.is_kept]
        self.changed()
        return outcome

    def first(self, count: int) -> Sequence[Entry]:
        """Return up to so many of the oldest entries, which stay in."""
        with self._lock:
            return self._entries[:count]

    def not_kept(self) -> Sequence[Entry]:
        """Return the entries that are not on disk yet."""
        with self._lock:
            return [entry for entry in self._entries if not entry.is_kept]

    def take_gone(self) -> Sequence[Entry]:
        """Return the entries on disk that have left, each once."""
        with self._lock:
            gone, self._gone = self._gone, []
        return gone

    def settle(self, entry: Entry, outcome: Acknowledgement | Exception) -> None:
        """Take an entry out and tell its outcome; harmless when it is out already."""
        with self._lock:
            if entry in self._entries:
                self._entries.remove(entry)
                self._gone += [entry] if entry.is_kept else []
        for waiting in list(entry.outcomes):
            if waiting.done():
                continue
            if isinstance(outcome, Exception):
                waiting.set_exception(outcome)
            else:
                waiting.set_result(outcome)
        self.changed()

    def take_all(self) -> Sequence[Entry]:
        """Take out what is left, oldest first, for somebody to settle."""
        with self._lock:
            entries, self._entries = self._entries, []
        return entries


def _counting(entries: Sequence[Entry]) -> set[Entry]:
    """Return which reports of one stage of one job count."""
    details = {name for entry in entries for name in entry.report.details}
    latest_of_each = (max((it for it in entries if name in it.report.details), key=_when) for name in details)
    return {min(entries, key=_when), max(entries, key=_when), *latest_of_each}


def _when(entry: Entry) -> tuple[object, ...]:
    """Return what the projector compares: the time, then the id, then the value."""
    return (entry.report.moment, entry.report.id, entry.report.value)

"""A case: all that is known when somebody asks why a job is where it is."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from schemas.diagnosis.history import History
from schemas.diagnosis.limits import Limits

_LATEST: Final = "9999-12-31T23:59:59.999999"


class Letter(NamedTuple):
    """An event that was refused: why, when it was recorded (sortable), and where that is in the log."""

    time: str
    record: str
    reason: str


class Part(NamedTuple):
    """How whole the projection is where the events of a job are: in the partitions that it reports to.

    `lag` is how many events were known to be missing when that was confirmed last; None when nobody knows. `confirmed`
    is a sortable time, None when it never was; `is_current` tells whether that was just now. `held` has the codes of
    why a partition does not go on.
    """

    lag: int | None
    confirmed: str | None
    is_current: bool
    held: tuple[str, ...] = ()


class Case(NamedTuple):
    """A job's history, and what else is known of it at a time.

    `part` is None where only the past is asked about. `letters` are those known for the job, None when they cannot be
    read.
    """

    history: History
    now: str
    part: Part | None
    letters: Sequence[Letter] | None
    limits: Limits

    @property
    def known_until(self) -> str | None:
        """The time up to which every report of the job is known; None when reports may be missing of any time."""
        if self.part is None:
            return self.now
        if self.part.lag != 0:
            return None
        return self.now if self.part.is_current else self.part.confirmed


def after(time: str, limit: timedelta) -> str:
    """Return the sortable time that is so much later, the last one there is when it is beyond that."""
    try:
        return (datetime.fromisoformat(time) + limit).isoformat(timespec="microseconds")
    except OverflowError:
        return _LATEST


def seconds_between(earlier: str, later: str) -> float:
    """Return the seconds from one sortable time to another."""
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()

"""How a wait can end, with the exit code that says so."""

from enum import IntEnum
from typing import Final, NamedTuple

from schemas.lifecycle import OUTCOMES
from worker.watching.job import Job


class Ending(IntEnum):
    """How a wait ended; the value is the exit code of `watch`."""

    SUCCEEDED = 0
    FAILED = 10
    CANCELLED = 11
    NOT_FOUND = 12
    GAVE_UP = 13
    LOST_CONTACT = 75
    INTERRUPTED = 130

    @property
    def words(self) -> str:
        """What it is called: `gave up waiting`."""
        return _WORDS[self]


_WORDS: Final = {
    Ending.SUCCEEDED: "succeeded",
    Ending.FAILED: "failed",
    Ending.CANCELLED: "cancelled",
    Ending.NOT_FOUND: "not found",
    Ending.GAVE_UP: "gave up waiting",
    Ending.LOST_CONTACT: "lost contact",
    Ending.INTERRUPTED: "interrupted",
}
# Of the outcomes that a job can have.
OF_OUTCOME: Final = dict(zip(OUTCOMES, (Ending.SUCCEEDED, Ending.FAILED, Ending.CANCELLED), strict=True))
# Of several jobs the first of these that one of them has; with --any the last.
WORST_FIRST: Final = (Ending.FAILED, Ending.CANCELLED, Ending.SUCCEEDED)


class Ended(NamedTuple):
    """How a wait ended: by which jobs, and why where these do not tell."""

    ending: Ending
    jobs: tuple[Job, ...] = ()
    why: str = ""

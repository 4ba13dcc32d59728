"""The jobs that an answer has told already: one that moves while a long answer is read is in it once.

A job moves to a later place when an earlier report of it arrives. So whoever reads on may meet it again, and never
misses it.
"""

from array import array
from bisect import bisect_left
from typing import Final

from api.projection.lookup import Row, member_of

# In a set a job takes 90 bytes, on a shelf 9 bytes and 2 us; so only long answers use shelves. These are sorted arrays,
# and as long as one has some thousand entries it is quick to add to.
UNSHELVED_JOBS: Final = 10_000
SHELVES: Final = 1024
_MARK_BITS: Final = 0xFFFF_FFFF_FFFF_FFFF


class Seen:
    """Passes on what was not told before.

    A member is remembered by 64 bits of it that nobody can predict: of 10,000,000 jobs one is taken for another with a
    chance of one in 300,000.
    """

    __slots__ = ("_last", "_recent", "_shelves")

    def __init__(self) -> None:
        self._last: list[bytes] = []
        self._recent: set[bytes] = set()
        self._shelves: list[array[int]] = []

    def new(self, rows: list[Row]) -> list[Row]:
        """Return the rows of jobs that were in none of the calls before; the rows of one call are of different jobs."""
        if self._last:
            self._recent.update(self._last)
            if len(self._recent) >= UNSHELVED_JOBS:
                self._shelve()
        if self._recent:
            rows = [row for row in rows if member_of(row) not in self._recent]
        if self._shelves:
            rows = [row for row in rows if not self._is_shelved(member_of(row))]
        # Noted only when there are more: most answers are one call.
        self._last = [member_of(row) for row in rows]
        return rows

    def _shelve(self) -> None:
        if not self._shelves:
            self._shelves = [array("Q") for _ in range(SHELVES)]
        for member in self._recent:
            mark, shelf, at = self._place(member)
            shelf.insert(at, mark)
        self._recent.clear()

    def _is_shelved(self, member: bytes) -> bool:
        mark, shelf, at = self._place(member)
        return at < len(shelf) and shelf[at] == mark

    def _place(self, member: bytes) -> "tuple[int, array[int], int]":
        mark = hash(member) & _MARK_BITS
        shelf = self._shelves[mark % SHELVES]
        return mark, shelf, bisect_left(shelf, mark)

"""A scan: one answer read out of all its buckets, in order, a part at a time."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from api.projection.generation import Bucket, Generation
from api.projection.lookup import NO_ENTRY, FeedPlace, Lookup, Place, Portion, Row, Search, place_of
from api.projection.standing import Freshness, Standing, freshness
from schemas.expiry import is_expired
from schemas.identity import bucket_of

NOT_READ: Final = Freshness(None, None)
FIRST: Final = Place(-(2**63), "")
LAST: Final = Place(2**63, "")
# How many jobs are asked for at least after some were too old to be shown: so can be many before the next.
SEARCHED_JOBS: Final = 1000
# A scan searches when so many members were looked at in vain since it was last filled.
SEARCH_MEMBERS: Final = 100
# For how many times as long as Redis took for a call of a search none is asked: all of them together leave the most of
# Redis' time to the others.
SEARCH_PAUSE_TIMES: Final = 3
Ask = Callable[[Bucket, Lookup], asyncio.Future[Portion]]


class Branch:
    """What one bucket has given of an answer: rows not handed on yet, and the place up to which it was looked at."""

    __slots__ = (
        "bucket",
        "first_feed",
        "is_done",
        "is_whole",
        "last_feed",
        "left",
        "milliseconds",
        "passed_over",
        "reached",
        "rows",
        "standing",
    )

    def __init__(self, bucket: Bucket, after: Place | None) -> None:
        self.bucket = bucket
        self.reached = after
        self.rows: list[Row] = []
        self.is_done = False
        self.is_whole = True
        self.passed_over = 0
        self.left = 0
        self.standing: Standing | None = None
        self.milliseconds = 0
        # The last entry of the bucket's feed when it was asked first, and when it was asked last.
        self.first_feed: FeedPlace | None = None
        self.last_feed: FeedPlace | None = None

    def take_in(self, portion: Portion) -> None:
        """Add what was found."""
        rows, self.reached, self.is_done, self.standing, self.milliseconds, is_whole, passed_over, feed, left = portion
        self.left = left
        self.first_feed = self.first_feed or feed
        self.last_feed = feed
        self.rows += rows
        self.is_whole &= is_whole
        self.passed_over += passed_over


def merge(branches: Sequence[Branch]) -> list[Row]:
    """Take from the branches, in order, every row that no later one of another branch can come before."""
    if len(branches) == 1:
        rows, branches[0].rows = branches[0].rows, []
        return rows
    horizon = min((branch.reached or FIRST for branch in branches if not branch.is_done), default=LAST)
    due: list[Row] = []
    for branch in branches:
        count = sum(place_of(row) <= horizon for row in branch.rows)
        due += branch.rows[:count]
        del branch.rows[:count]
    return sorted(due, key=place_of)


class Scan:
    """Reads one answer: `fill` and `take_rows` by turns until it `is_done`.

    Each bucket keeps its own place, so buckets are asked only for what they have not given yet. Scans that search take
    turns; `turn` is the same for all of them.
    """

    def __init__(self, ask: Ask, generation: Generation, search: Search, turn: asyncio.Lock) -> None:
        self.generation = generation
        self._ask = ask
        self._indexes = search.indexes
        self._branches = [Branch(bucket, search.after) for bucket in generation.asked(search.digest)]
        self._after = search.after
        self._with_refused = search.with_refused
        self._turn = turn
        self._hidden = 0
        # How long was waited for buckets until now, by the loop's clock.
        self.waited_seconds = 0.0
        # Whether any row was read that is shown, or that is not shown since it has expired.
        self.has_rows = self.has_expired = False
        # How fresh all is that was read so far.
        self.freshness = NOT_READ

    @property
    def is_done(self) -> bool:
        """Whether all rows were handed on."""
        for branch in self._branches:  # noqa: SIM110 - a third of the time, and each request comes by here
            if branch.rows or not branch.is_done:
                return False
        return True

    @property
    def left(self) -> int:
        """How many rows are to come at least, as far as anybody knows; some may be of jobs that have expired."""
        return sum([len(branch.rows) + branch.left for branch in self._branches])

    @property
    def is_whole(self) -> bool:
        """Whether nothing was left out of what was read until now because it is damaged."""
        return all(branch.is_whole for branch in self._branches)

    @property
    def is_sealed(self) -> bool:
        """Whether a bucket said that a switch of generations is under way."""
        for branch in self._branches:  # noqa: SIM110 - as above
            if branch.standing and branch.standing.is_sealed:
                return True
        return False

    @property
    def standings(self) -> list[Standing]:
        """How each of its buckets stood when it was asked last."""
        return [branch.standing for branch in self._branches if branch.standing]

    @property
    def first_feeds(self) -> dict[int, FeedPlace]:
        """By bucket, the last entry of its feed when it was asked first: what is shown has all up to there."""
        return {branch.bucket.number: branch.first_feed or NO_ENTRY for branch in self._branches}

    @property
    def last_feeds(self) -> dict[int, FeedPlace]:
        """By bucket, the last entry of its feed when it was asked last: what is shown has nothing of after that."""
        return {branch.bucket.number: branch.last_feed or NO_ENTRY for branch in self._branches}

    @property
    def is_searching(self) -> bool:
        """Whether the last fill looked at many jobs that are not to be shown."""
        return self._hidden + sum([branch.passed_over for branch in self._branches]) >= SEARCH_MEMBERS

    @property
    def reached(self) -> Place | None:
        """The place up to which all rows were handed on, once there is one that is further than the start."""
        places = [branch.reached for branch in self._branches if not branch.is_done]
        if not places or None in places or min(filter(None, places)) == self._after:
            return None
        return min(filter(None, places))

    async def fill(self, count: int) -> None:
        """Ask every bucket that has no rows at hand; UnavailableError when one cannot answer or must not be shown."""
        if self._hidden:
            count = max(count, SEARCHED_JOBS)
        if not self.is_searching:
            await self._fill(count)
            return
        async with self._turn:
            loop = asyncio.get_running_loop()
            started = loop.time()
            await self._fill(count)
            await asyncio.sleep(SEARCH_PAUSE_TIMES * (loop.time() - started))

    async def _fill(self, count: int) -> None:
        self._hidden = 0
        for branch in self._branches:
            branch.passed_over = 0
        asked = [branch for branch in self._branches if not branch.rows and not branch.is_done]
        answers = deque(
            [
                self._ask(branch.bucket, Lookup(self._indexes, count, branch.reached, self._with_refused))
                for branch in asked
            ]
        )
        loop = asyncio.get_running_loop()
        began = loop.time()
        for branch in asked:
            # Not under a name: an error holds this frame, and a frame that holds what failed stays as long as garbage.
            branch.take_in(await answers.popleft())
        self.waited_seconds += loop.time() - began
        self._note_freshness()

    def begin_with(self, portion: Portion, waited_seconds: float) -> None:
        """Take in what its only bucket was asked already, which took so long."""
        self._branches[0].take_in(portion)
        self.waited_seconds = waited_seconds
        self._note_freshness()

    def _note_freshness(self) -> None:
        standings = [branch.standing for branch in self._branches if branch.standing]
        now = freshness(standings, max([branch.milliseconds for branch in self._branches]))
        self.freshness = now if self.freshness is NOT_READ else self.freshness.lowest(now)

    def take_rows(self) -> list[Row]:
        """Return the rows that are due next; none when there is no more before the next `fill`.

        Jobs without news since the generation's cutoff are left out.
        """
        rows = merge(self._branches)
        cutoff = self.generation.cutoff
        if not cutoff or not rows:
            self.has_rows |= bool(rows)
            return rows
        shown = [row for row in rows if not is_expired(row, cutoff)]
        self.has_rows |= bool(shown)
        self.has_expired |= len(shown) < len(rows)
        self._hidden += len(rows) - len(shown)
        return shown

    def origin(self, member: bytes) -> Branch:
        """Return what the bucket gave that a row which was handed on is of, by its member."""
        if len(self._branches) == 1:
            return self._branches[0]
        number = bucket_of(member.decode(), len(self.generation.buckets))
        return next(branch for branch in self._branches if branch.bucket.number == number)

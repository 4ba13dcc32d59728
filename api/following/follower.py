"""The follower: one reader of the feeds of all buckets for a process, whatever the number of its streams.

It asks each bucket again and again what changed after the entry that it has reached. The answer has the rows as they
are at that moment, read in one step; each is rendered once for each view, and the same bytes go to all who follow it.

Nothing goes back. Rows of one bucket come from its primary in the order in which it was asked, for it is asked anew
only after its answer was told; and who has read rows by himself passes over what was asked before that (see
`streams/joining.py`). Nothing is lost: an answer goes on exactly where the one before it ended, or everybody begins
again, with a reason.

Case 1: Redis loses writes (killed, failed over, set back). The entry that was reached is gone, or there is another one
        of its id with another check: a reset. As long as positions are below what was shown before there is no answer,
        and after that there is a reset also where the entry is there.
Case 2: the bucket is begun again, or another generation is read. The catalog says so within a second: a reset.
Case 3: this process sleeps until the feed is trimmed past the entry it has reached. As in case 1.
Case 4: so many jobs change that the feed does not name them. All wait for a moment, longer each time, then a reset.
"""

import asyncio
from typing import Final

import structlog

from api.following.health import HEALTHY, Health, health_of
from api.following.position import Position, incarnations_of
from api.following.resets import (
    AHEAD,
    CATCHING_UP,
    OTHER_GENERATION,
    OTHER_INCARNATION,
    SET_BACK,
    TRIMMED,
)
from api.following.subscriptions import Subscriptions
from api.following.telling import Telling
from api.metrics import Metrics
from api.projection.errors import NotReadyError, UnavailableError
from api.projection.generation import Bucket, Generation
from api.projection.live import Live
from api.projection.lookup import NO_ENTRY, Changed, Changes, FeedPlace, Lookup, Portion
from api.projection.reader import Reader
from api.projection.standing import Freshness, Standing, freshness

# How often buckets are asked: while something changes, and when nothing did for a while.
BUSY_SECONDS: Final = 0.01
IDLE_SECONDS: Final = 0.04
BUSY_FOR_SECONDS: Final = 1.0
# After a failure.
AGAIN_SECONDS: Final = 0.1
# Entries that one answer is about at most.
ENTRIES_AT_ONCE: Final = 200
# How long all wait when too much changes to be named: this long, and twice as long each time until it is over.
CATCHING_UP_SECONDS: Final = 1.0
MAX_CATCHING_UP_SECONDS: Final = 16.0


_log = structlog.get_logger(__name__)


class Place:
    """How far a bucket was followed, how it stood then, and the positions up to which all reports were told."""

    __slots__ = ("bucket", "known", "reached", "standing", "told")

    def __init__(self, bucket: Bucket, portion: Portion) -> None:
        self.bucket = bucket
        self.reached = portion.feed
        self.known = 0
        self.standing: Standing = portion.standing
        self.told = portion.standing.positions

    def move(self, answer: Changed) -> None:
        """Go on to where an answer ends that was told."""
        self.reached, self.known, self.standing = answer.reached, answer.known, answer.standing
        if answer.is_done:
            self.told = answer.standing.positions

    def begin_again(self, answer: Changed) -> None:
        """Go to the end of the feed, whatever was not told."""
        self.reached, self.known, self.standing = answer.feed, 0, answer.standing
        self.told = answer.standing.positions


class Follower:
    """Follows the live generation while somebody wants it."""

    def __init__(self, live: Live, reader: Reader, metrics: Metrics) -> None:
        self._live = live
        self._reader = reader
        self._metrics = metrics
        self.subscriptions = Subscriptions()
        self._telling = Telling(self.subscriptions, metrics.streams)
        self._waiters = 0
        self._wanted = asyncio.Event()
        self._moved = asyncio.Event()
        self._generation: Generation | None = None
        self._places: list[Place] = []
        self._is_set_back = False
        self._busy_until = 0.0
        self._catching_up_seconds = CATCHING_UP_SECONDS
        self.health = HEALTHY
        self.freshness = Freshness(None, None)

    # What others ask of it.

    def want(self) -> None:
        """Have it follow, until it is let go as often as it was wanted."""
        self._waiters += 1
        self._wanted.set()

    def let_go(self) -> None:
        """Need it no more."""
        self._waiters -= 1
        if not self._waiters:
            self._wanted.clear()
            self._generation = None  # whoever comes next begins where the feeds are then

    @property
    def generation(self) -> Generation | None:
        """The generation that is followed now; None when nobody knows."""
        return self._generation

    def position(self, digest: str | None) -> Position:
        """Return how far all was told, of the buckets that can hold an answer."""
        assert self._generation is not None  # noqa: S101 - nobody is told anything before
        asked = self._generation.asked(digest)
        places = tuple(self._places[bucket.number].reached for bucket in asked)
        return Position(self._generation.number, incarnations_of(self._generation), places)

    def standings(self, digest: str | None) -> list[Standing]:
        """Return how the buckets that can hold an answer stood when they were asked last; none when nobody knows."""
        if self._generation is None:
            return []
        return [self._places[bucket.number].standing for bucket in self._generation.asked(digest)]

    async def moved(self) -> None:
        """Return when the buckets were asked once more, well or not."""
        await self._moved.wait()

    # What it does.

    async def run(self) -> None:
        """Follow for ever."""
        while True:
            await self._wanted.wait()
            pause = await self._round()
            self._moved.set()
            self._moved = asyncio.Event()
            await asyncio.sleep(pause)

    async def _round(self) -> float:
        """Ask all buckets once, and tell; return how long to wait before the next time."""
        try:
            pause = await self._follow()
        except UnavailableError as error:
            if isinstance(error, NotReadyError):
                self._is_set_back = True
                self._live.suspect()
            self.freshness = error.freshness or Freshness(None, None)
            self._tell_health(self.health.failed(asyncio.get_running_loop().time()))
            return AGAIN_SECONDS
        except Exception:  # noqa: BLE001 - whatever it is, streams must not fall silent by it
            _log.exception("changes could not be told, so all streams begin again")
            self._is_set_back = True
            return AGAIN_SECONDS
        self._tell_health(health_of(self.freshness))
        return pause

    async def _follow(self) -> float:
        generation = self._live.known() or await self._live.read()
        known = self._generation
        if known is None or known.buckets != generation.buckets:
            await self._begin(generation)
            if known is not None:
                self._reset(OTHER_INCARNATION if known.number == generation.number else OTHER_GENERATION)
        self._generation = generation  # its cutoff may be another one
        answers = await asyncio.gather(
            *[
                self._reader.ask_changes(place.bucket, Changes((), ENTRIES_AT_ONCE, place.reached, place.known))
                for place in self._places
            ]
        )
        self._learn([(answer.standing, answer.milliseconds) for answer in answers])
        self._measure(answers)
        return await self._tell(generation, answers)

    async def _begin(self, generation: Generation) -> None:
        """Learn where the buckets stand now."""
        portions = [await self._reader.ask(bucket, Lookup((), 0, None)) for bucket in generation.buckets]
        self._learn([(portion.standing, portion.milliseconds) for portion in portions])
        self._places = [Place(*pair) for pair in zip(generation.buckets, portions, strict=True)]
        self._generation = generation

    def _learn(self, told: list[tuple[Standing, int]]) -> None:
        standings = [standing for standing, _ in told]
        if any(standing.is_sealed for standing in standings):
            self._live.suspect()
        self.freshness = freshness(standings, max(milliseconds for _, milliseconds in told))
        self._metrics.fresh(self.freshness.lag, self.freshness.held)

    def _measure(self, answers: list[Changed]) -> None:
        """Note how old the last entry is."""
        ages = [(answer.milliseconds - answer.feed.milliseconds) / 1000 for answer in answers]
        self._metrics.streams.feed_age(max(0, min(ages)))

    async def _tell(self, generation: Generation, answers: list[Changed]) -> float:
        """Hand on what changed; return how long to wait."""
        now = asyncio.get_running_loop().time()
        if self._generation is None:  # nobody wants to be told any more, or somebody else does
            return 0
        self._check_set_back()
        if any(answer.is_everything for answer in answers):
            return await self._wait_until_named(generation)
        for place, answer in zip(self._places, answers, strict=True):
            if answer.is_lost:
                self._lose(place, answer)
            elif answer.reached != place.reached or answer.known != place.known:
                self._busy_until = now + BUSY_FOR_SECONDS
                told_before = place.told
                place.move(answer)
                self._telling.tell(generation, place.bucket, answer, self.position, told_before)
            else:
                place.move(answer)
        self._catching_up_seconds = CATCHING_UP_SECONDS
        if not all(answer.is_done for answer in answers):
            return 0
        return BUSY_SECONDS if now < self._busy_until else IDLE_SECONDS

    def _lose(self, place: Place, answer: Changed) -> None:
        """Begin again where the entry that was reached is not in the feed, unless there is no other one yet."""
        lost = place.reached
        place.begin_again(answer)
        if lost != answer.feed:
            self._reset(why_lost(lost, answer.feed))

    def _check_set_back(self) -> None:
        if self._is_set_back:
            self._is_set_back = False
            self._reset(SET_BACK)

    async def _wait_until_named(self, generation: Generation) -> float:
        """Wait while too much changes, then have all begin again."""
        await asyncio.sleep(self._catching_up_seconds)
        self._catching_up_seconds = min(2 * self._catching_up_seconds, MAX_CATCHING_UP_SECONDS)
        await self._begin(generation)
        self._reset(CATCHING_UP)
        return BUSY_SECONDS

    def _reset(self, reason: str) -> None:
        for subscriber in self.subscriptions:
            subscriber.reset(reason)

    def _tell_health(self, health: Health) -> None:
        has_changed = health.is_stale != self.health.is_stale
        self.health = health
        if has_changed:
            for subscriber in self.subscriptions:
                subscriber.health_changed()


def why_lost(lost: FeedPlace, feed: FeedPlace) -> str:
    """Return why an entry is not in a feed whose last entry is another one."""
    is_ahead = feed != NO_ENTRY and lost[:2] >= feed[:2]
    return AHEAD if is_ahead else TRIMMED

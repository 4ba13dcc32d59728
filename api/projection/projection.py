"""The projection as it is asked: open a scan, or say whether that would work."""

import asyncio
from typing import NamedTuple

from api.projection.deadline import Deadline
from api.projection.errors import NotReadyError, StaleGenerationError, StoreUnavailableError, UnavailableError
from api.projection.generation import Generation
from api.projection.live import Live
from api.projection.lookup import Lookup, Portion, Search
from api.projection.reader import Reader
from api.projection.scan import Scan
from api.projection.standing import Freshness, freshness


class First(NamedTuple):
    """What the only bucket that is asked gave at first, in the generation that was live then."""

    generation: Generation
    portion: Portion


class Projection:
    """The live generation, read through a reader."""

    def __init__(self, live: Live, reader: Reader) -> None:
        self._live = live
        self._reader = reader
        self._turn = asyncio.Lock()

    async def scan(self, search: Search, count: int, stale_since: float | None = None) -> Scan:
        """Return a scan that has its first rows, about `count`; UnavailableError when there is no right answer now.

        A bucket that is not what the pointer said may be of a generation that was replaced a moment ago, so the
        pointer is read again before anybody is turned away; at once, when `first` has found that, whose start is
        `stale_since`: then all that is waited for counts from there, by the loop's clock.
        """
        started = asyncio.get_running_loop().time() if stale_since is None else stale_since
        generation = self._live.known() if stale_since is None else None
        stale: StaleGenerationError | None = None
        if generation:
            try:
                return await self._begun(generation, search, count)
            except StaleGenerationError as error:
                stale = error
        async with Deadline(started):
            while True:
                renewed = await self._live.read()
                if stale and generation and renewed.buckets == generation.buckets:
                    raise stale
                generation = renewed
                try:
                    return await self._begun(generation, search, count)
                except StaleGenerationError as error:
                    stale = error

    async def _begun(self, generation: Generation, search: Search, count: int) -> Scan:
        """Return a scan of this generation; one that is sealed or not ready may be replaced at any moment."""
        scan = Scan(self._reader.ask, generation, search, self._turn)
        try:
            await scan.fill(count)
        except NotReadyError:
            self._live.suspect()
            raise
        if scan.is_sealed:
            self._live.suspect()
        return scan

    async def first(self, search: Search, count: int) -> First | None:
        """Return what a search gives at first, when that takes a single call; None when it takes more to know.

        StaleGenerationError when another generation may be live; UnavailableError when there is no right answer now.
        """
        generation = self._live.known()
        if generation is None:
            return None
        buckets = generation.asked(search.digest)
        if len(buckets) > 1:
            return None
        try:
            portion = await self._reader.ask(buckets[0], Lookup(search.indexes, count, search.after))
        except NotReadyError:
            self._live.suspect()
            raise
        if portion.standing.is_sealed:
            self._live.suspect()
        return First(generation, portion)

    def begun(self, search: Search, first: First) -> Scan:
        """Return a scan that begins with what a search gave at first."""
        scan = Scan(self._reader.ask, first.generation, search, self._turn)
        scan.begin_with(first.portion)
        return scan

    async def check_redis(self) -> str | None:
        """Return why Redis cannot be read, or None."""
        try:
            await self._live.read()
        except StoreUnavailableError as error:
            return str(error)
        except UnavailableError:
            return None  # Redis answers; what it answers is the other check's
        return None

    async def freshness(self) -> Freshness:
        """Return how fresh all of it is; UnavailableError when it cannot be shown."""
        generation = await self._live.read()
        portions = [await self._reader.ask(bucket, Lookup((), 0, None)) for bucket in generation.buckets]
        return freshness([portion.standing for portion in portions], max(portion.milliseconds for portion in portions))

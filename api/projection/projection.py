"""The projection as it is asked: open a scan, or say whether that would work."""

import asyncio

from api.errors import StaleGenerationError, StoreUnavailableError, UnavailableError
from api.projection.deadline import Deadline
from api.projection.generation import Generation
from api.projection.lookup import Lookup, Place
from api.projection.reader import Reader
from api.projection.scan import Scan
from api.projection.store import Store


class Projection:
    """The live generation, read through a reader."""

    def __init__(self, store: Store, reader: Reader) -> None:
        self._store = store
        self._reader = reader

    async def scan(self, indexes: tuple[str, ...], digest: str | None, after: Place | None, count: int) -> Scan:
        """Return a scan that has its first rows, about `count`; UnavailableError when there is no right answer now.

        A bucket that is not what the pointer said may be of a generation that was replaced a moment ago, so the
        pointer is read again before anybody is turned away.
        """
        started = asyncio.get_running_loop().time()
        generation = self._store.known_generation()
        stale: StaleGenerationError | None = None
        if generation:
            try:
                return await self._begun(generation, indexes, digest, after, count)
            except StaleGenerationError as error:
                stale = error
        async with Deadline(started):
            while True:
                renewed = await self._store.read_generation()
                if stale and generation and renewed.buckets == generation.buckets:
                    raise stale
                generation = renewed
                try:
                    return await self._begun(generation, indexes, digest, after, count)
                except StaleGenerationError as error:
                    stale = error

    async def _begun(
        self, generation: Generation, indexes: tuple[str, ...], digest: str | None, after: Place | None, count: int
    ) -> Scan:
        scan = Scan(self._reader.ask, generation, generation.asked(digest), indexes, after)
        await scan.fill(count)
        return scan

    async def check_redis(self) -> str | None:
        """Return why Redis cannot be read, or None."""
        try:
            await self._store.read_generation()
        except StoreUnavailableError as error:
            return str(error)
        except UnavailableError:
            return None  # Redis answers; what it answers is the other check's
        return None

    async def check_projection(self) -> str | None:
        """Return why the projection cannot be shown, or None."""
        try:
            generation = await self._store.read_generation()
            for bucket in generation.buckets:
                await self._reader.ask(bucket, Lookup((), 0, None))
        except UnavailableError as error:
            return str(error)
        return None

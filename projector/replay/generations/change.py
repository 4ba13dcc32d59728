"""A change of generations: what whoever makes, switches or removes one works with, and the lease that allows it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from projector.errors import StoreUnavailableError
from projector.replay.generations.lease import leased
from projector.store.catalog import Catalog, Lease
from projector.store.generation import Generation
from schemas.redis_layout import Pointer
from service.redis import AnyRedis

PATIENCE_SECONDS: Final = 30.0

# A Redis that restarts stops nothing here; whatever is asked once more changes nothing.
patiently = retry(
    retry=retry_if_exception_type(StoreUnavailableError),
    stop=stop_after_delay(PATIENCE_SECONDS),
    wait=wait_fixed(0.2),
    reraise=True,
)


@dataclass(frozen=True, slots=True)
class Change:
    """A change that is under way."""

    redis: AnyRedis
    prefix: str
    catalog: Catalog
    lease: Lease

    def generation(self, pointer: Pointer) -> Generation:
        """Return a generation of this projection."""
        return Generation(self.redis, self.prefix, pointer)


@asynccontextmanager
async def changing(redis: AnyRedis, prefix: str, what: str) -> AsyncIterator[Change]:
    """Yield what a change works with, for as long as the block lasts and the lease is ours, see `leased`."""
    catalog = Catalog(redis, prefix)
    async with leased(catalog, what) as lease:
        yield Change(redis, prefix, catalog, lease)

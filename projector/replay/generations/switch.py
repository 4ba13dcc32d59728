"""The switch: another generation is brought to where the live one stands, and becomes the live one.

    live:   written -> sealed (its positions cannot move any more) -> kept
    target: follows the live one -> reaches exactly the sealed positions -> live

Readers are served from the live one until the pointer changes, and from the other after that: never less, never a
mixture. Case 1: we die before the pointer changed. Projectors meet a seal without a lease and remove it. Case 2: we
die after. Projectors and readers find the new pointer. Case 3: we are paused, and another takes the lease. Our step
finds another epoch, and nothing is changed.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from projector.errors import StoreUnavailableError
from projector.replay.follow.follower_pool import FollowerPool
from projector.replay.generations.size import Room
from projector.replay.progress import Show
from projector.store.catalog import Catalog, Lease, State
from projector.store.generation import Generation, Offsets
from schemas.redis_layout import COMPLETE, KeptGeneration, Pointer
from service.errors import CommandError
from service.redis import AnyRedis

LOOK_SECONDS: Final = 0.05
# While it is far behind, looking often only takes time from those who fold.
CATCH_UP_LOOK_SECONDS: Final = 0.5
# So close that the rest is a matter of a moment, during which nothing new is shown.
CLOSE_EVENTS: Final = 1000
SEAL_SECONDS: Final = 3.0
ATTEMPTS: Final = 20
MEMORY_EVERY_LOOKS: Final = 2
PATIENCE_SECONDS: Final = 30.0

# A Redis that restarts stops nothing here; whatever is asked once more changes nothing.
patiently = retry(
    retry=retry_if_exception_type(StoreUnavailableError),
    stop=stop_after_delay(PATIENCE_SECONDS),
    wait=wait_fixed(0.2),
    reraise=True,
)


@dataclass(frozen=True, slots=True)
class Work:
    """What a change of generations works with."""

    redis: AnyRedis
    prefix: str
    catalog: Catalog
    lease: Lease
    live: Pointer

    def generation(self, pointer: Pointer) -> Generation:
        """Return a generation of this projection."""
        return Generation(self.redis, self.prefix, pointer)

    async def lowest(self, pointer: Pointer, names: Sequence[str]) -> dict[str, int]:
        """Return for each partition the position that every bucket of a generation has reached."""
        standings = await patiently(self.generation(pointer).standings)(names)
        return {name: min(one.next) for name, one in standings.items()}

    async def highest(self, pointer: Pointer, names: Sequence[str]) -> dict[str, int]:
        """Return for each partition the furthest position that a bucket of a generation has reached."""
        standings = await patiently(self.generation(pointer).standings)(names)
        return {name: max(one.next) for name, one in standings.items()}


@dataclass(frozen=True, slots=True)
class Switch:
    """What brings a target to where the live generation stands, partition by partition (`names`)."""

    work: Work
    target: KeptGeneration
    names: Sequence[str]
    followers: FollowerPool
    room: Room
    show: Show

    async def catch_up(self) -> None:
        """Return when the target is close behind the live generation, or beyond it."""
        looks = 0
        while True:
            self.followers.check()
            if looks % MEMORY_EVERY_LOOKS == 0:
                await patiently(self.room.check)()
            looks += 1
            done = await self.work.lowest(self.target.pointer, self.names)
            reached = await self.work.highest(self.work.live, self.names)
            self.show(done, reached)
            if sum(max(0, reached[name] - done[name]) for name in self.names) <= CLOSE_EVENTS:
                return
            await asyncio.sleep(CATCH_UP_LOOK_SECONDS)

    async def run(self) -> bool:
        """Make the target live once it has reached all that the live generation shows; readers notice nothing.

        Returns whether that was done: not when there are partitions that nobody follows, because they are new.
        """
        for _ in range(ATTEMPTS):
            await self.catch_up()
            async with sealed(self.work) as reached:
                if reached.keys() - set(self.names):
                    return False
                if await self._reaches(reached):
                    await make_live(self.work, self.target, reached, floors=reached)
                    return True
        raise CommandError(
            "the log grows faster than the other generation follows: try again with more --processes or a higher --rate"
        )

    async def _reaches(self, reached: Offsets) -> bool:
        """Tell whether the target reaches these positions soon."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + SEAL_SECONDS
        while loop.time() < deadline:
            self.followers.check()
            done = await self.work.lowest(self.target.pointer, list(reached))
            if all(done[name] >= offset for name, offset in reached.items()):
                self.show(done, reached)
                return True
            await asyncio.sleep(LOOK_SECONDS)
        return False


@asynccontextmanager
async def sealed(work: Work) -> AsyncIterator[dict[str, int]]:
    """Yield the positions of the live generation, which do not move within the block."""
    live = work.generation(work.live)
    try:
        yield await live.seal(work.lease.epoch)
    finally:
        state = await work.catalog.read()
        if state.live == work.live:
            await live.unseal(work.lease.epoch)


async def make_live(work: Work, target: KeptGeneration, reached: Offsets, *, floors: Offsets) -> None:
    """Make the target live with these floors; the generation that was, and had reached so much, is kept, sealed."""
    generation = work.generation(target.pointer)
    await generation.raise_floors(floors)
    await generation.take_heartbeats(work.generation(work.live), reached)
    state = await work.catalog.read()
    now = await work.catalog.now()
    old = KeptGeneration(work.live, COMPLETE, state.began, now, state.starts)
    try:
        await work.catalog.switch(work.lease, target, old)
    except StoreUnavailableError:
        # The outcome is unknown, and the pointer tells it.
        if (await _read_patiently(work.catalog)).live != target.pointer:
            raise


@patiently
async def _read_patiently(catalog: Catalog) -> State:
    return await catalog.read()

"""The switch: another generation is brought to where the live one stands, and becomes the live one.

    live:   written -> sealed (its positions cannot move any more) -> kept
    target: follows the live one -> reaches exactly the sealed positions -> live

Readers are served from the live one until the pointer changes, and from the other after that: never less, never a
mixture. Case 1: we die before the pointer changed. Projectors meet a seal without a lease and remove it. Case 2: we
die after. Projectors and readers find the new pointer. Case 3: we are paused, and another takes the lease. Our step
finds another epoch, and nothing is changed.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from projector.errors import StoreUnavailableError
from projector.log.consumer import partition_ranges
from projector.operating import child_processes
from projector.operating.progress import Show, Stage
from projector.replay.follow.follower_pool import FollowerPool, following
from projector.replay.follow.follower_process import Task
from projector.replay.generations.change import Change, patiently
from projector.replay.generations.making import go_to_start
from projector.replay.generations.sealing import floors_of, seal, take_heartbeats
from projector.replay.generations.size import require_room
from projector.settings import ProjectorSettings
from projector.store.buckets import Offsets
from projector.store.generation import Standing
from projector.store.sifting import Sifting, Sifts
from schemas.redis_layout import COMPLETE, SIFT_ROUNDS, KeptGeneration, Pointer
from service.errors import CommandError

LOOK_SECONDS: Final = 0.05
# While it is far behind, looking often only takes time from those who fold.
CATCH_UP_LOOK_SECONDS: Final = 0.5
# So close that the rest is a matter of a moment, during which nothing new is shown.
CLOSE_EVENTS: Final = 1000
# Of fewer records the start of a second process takes longer than it spares.
LONG_LOG_RECORDS: Final = 100_000
SEAL_SECONDS: Final = 3.0
ATTEMPTS: Final = 20
MEMORY_EVERY_LOOKS: Final = 2

_OTHER_LOG: Final = (
    "the topic was made anew, or Kafka has lost records, so nothing was switched, for what is stored may be the last "
    "that is left; look at `python -m projector verify`"
)


@dataclass(frozen=True, slots=True)
class Switch:
    """From the live generation to another one, the target."""

    change: Change
    live: Pointer
    target: KeptGeneration

    async def at_once(self) -> None:
        """Make the target live as it is; readers see an older state, and are told so."""
        async with self.sealed() as reached:
            await self.make_live(reached, floors={})

    async def once_followed(
        self,
        settings: ProjectorSettings,
        show: Show,
        *,
        processes: int | None = None,
        rate: float | None = None,
        needed_bytes: int = 0,
        writes_letters: bool = False,
        when_close: Callable[[], Awaitable[None]] | None = None,
        when_reached: Callable[[], Awaitable[None]] | None = None,
    ) -> Offsets:
        """Have processes fold what the target lacks, then make it live; return the positions at which it went live.

        Readers notice nothing. When nobody says how many processes, they are two where the log is long. `needed_bytes`
        is about what a whole generation takes. `when_close` is called when the target has come close to the live
        generation, before that is sealed, and once more when followers had to be started anew because partitions were
        added; `when_reached` when both stand still at the same positions.
        """
        task = Task(settings, self.target.pointer, rate, writes_letters=writes_letters)
        while True:
            stood = await self._partitions(settings)
            names = sorted(stood)
            usual = 1 if sum(stood.values()) < LONG_LOG_RECORDS else child_processes.USUAL_PROCESSES
            with following(task, names, processes or usual) as pool:
                attempt = _Attempt(self, names, pool, show, needed_bytes)
                if when_close:
                    await attempt.catch_up()
                    await when_close()
                reached = await attempt.go_live(when_reached)
                if reached is not None:
                    return reached

    async def _partitions(self, settings: ProjectorSettings) -> dict[str, int]:
        """Return where the live generation stands in each partition; CommandError when the log does not go so far."""
        ranges = await partition_ranges(settings)
        standings = await self.change.generation(self.live).standings(list(ranges))
        stood = {name: max(one.next) for name, one in standings.items()}
        if any(position > ranges[name].end for name, position in stood.items()):  # it may have grown meanwhile
            ranges = await partition_ranges(settings)
        for name, position in stood.items():
            if position > (end := ranges[name].end):
                raise CommandError(
                    f"the live generation stands at {position} of {name}, and the log ends at {end}: {_OTHER_LOG}"
                )
        return stood

    @asynccontextmanager
    async def sealed(self) -> AsyncIterator[dict[str, int]]:
        """Yield the positions of the live generation, which do not move within the block."""
        change, live = self.change, self.change.generation(self.live)
        try:
            yield await seal(change.redis, live, change.lease.epoch)
        finally:
            state = await change.catalog.read()
            if state.live == self.live:
                await live.buckets.unseal(change.lease.epoch)

    async def make_live(self, reached: Offsets, *, floors: Offsets) -> None:
        """Make the target live with these floors; the generation that was, and had reached so much, is kept, sealed."""
        catalog = self.change.catalog
        generation = self.change.generation(self.target.pointer)
        await generation.buckets.raise_floors(floors)
        await take_heartbeats(self.change.redis, self.change.generation(self.live), generation, reached)
        state = await catalog.read()
        old = KeptGeneration(self.live, COMPLETE, state.began, await catalog.now(), state.starts)
        try:
            await catalog.switch(self.change.lease, self.target, old)
        except StoreUnavailableError:
            # The outcome is unknown, and the pointer tells it.
            if (await patiently(catalog.read)()).live != self.target.pointer:
                raise


@dataclass(frozen=True, slots=True)
class _Attempt:
    """Followers that bring the target to where the live generation stands, in these partitions."""

    switch: Switch
    names: Sequence[str]
    pool: FollowerPool
    show: Show
    needed_bytes: int

    async def catch_up(self) -> None:
        """Return when the target is close behind the live generation, or beyond it."""
        looks = 0
        while True:
            self.pool.check()
            done = await self._done(self.names)
            standings = await self._standings(self.switch.live, self.names)
            reached = {name: max(one.next) for name, one in standings.items()}
            if looks % MEMORY_EVERY_LOOKS == 0:
                left = 1 - min(1.0, sum(done.values()) / max(1, sum(reached.values())))
                await patiently(require_room)(self.switch.change.redis, left_bytes=int(self.needed_bytes * left))
            looks += 1
            sifts = await patiently(self._sifting.read)()
            self.show(done, reached, _stage(sifts))
            is_close = sum(max(0, reached[name] - done[name]) for name in self.names) <= CLOSE_EVENTS
            if is_close and await self._is_whole(sifts):
                return
            await asyncio.sleep(CATCH_UP_LOOK_SECONDS)

    async def go_live(self, when_reached: Callable[[], Awaitable[None]] | None) -> Offsets | None:
        """Make the target live once it has reached all that the live generation shows, and return what that is.

        None when there are partitions that nobody follows, because they are new.
        """
        for _ in range(ATTEMPTS):
            await self.catch_up()
            async with self.switch.sealed() as reached:
                if reached.keys() - set(self.names):
                    return None
                if await self._reaches(reached):
                    await self._check_is_the_same_log(list(reached))
                    if when_reached:
                        await when_reached()
                    await self.switch.make_live(reached, floors=await self._floors(reached))
                    return reached
        raise CommandError(
            "the log grows faster than the other generation follows: try again with more --processes or a higher --rate"
        )

    async def _floors(self, reached: Offsets) -> Offsets:
        """Return what readers must not see less than: these positions, and what the live one has to reach itself."""
        owed = await floors_of(self.switch.change.generation(self.switch.live))
        return {name: max(reached.get(name, 0), owed.get(name, 0)) for name in reached.keys() | owed.keys()}

    async def _check_is_the_same_log(self, names: Sequence[str]) -> None:
        """Raise CommandError unless both generations have applied the same record last, wherever both know which."""
        live = await self._standings(self.switch.live, names)
        target = await self._standings(self.switch.target.pointer, names)
        for name in names:
            applied = [{*standings[name].fingerprints} - {""} for standings in (live, target)]
            if all(applied) and applied[0] != applied[1]:
                raise CommandError(
                    f"the last record of {name} that the live generation applied is another one than the log has: "
                    f"{_OTHER_LOG}"
                )

    async def _is_whole(self, sifts: Sifts) -> bool:
        """Tell whether the target has nothing left to be sifted; where a round is over it goes on to the next."""
        after = await self._sifting.go_on() if sifts else sifts
        if after != sifts:
            await go_to_start(self.switch.change, self.switch.target)
        return not after

    @property
    def _sifting(self) -> Sifting:
        return self.switch.change.generation(self.switch.target.pointer).sifting

    async def _reaches(self, reached: Offsets) -> bool:
        """Tell whether the target reaches these positions soon."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + SEAL_SECONDS
        while loop.time() < deadline:
            self.pool.check()
            done = await self._done(list(reached))
            if all(done[name] >= offset for name, offset in reached.items()):
                self.show(done, reached)
                return True
            await asyncio.sleep(LOOK_SECONDS)
        return False

    async def _done(self, names: Sequence[str]) -> dict[str, int]:
        """Return for each partition the position that every bucket of the target has reached."""
        standings = await self._standings(self.switch.target.pointer, names)
        return {name: min(one.next) for name, one in standings.items()}

    async def _standings(self, pointer: Pointer, names: Sequence[str]) -> dict[str, Standing]:
        return await patiently(self.switch.change.generation(pointer).standings)(names)


def _stage(sifts: Sifts) -> Stage | None:
    """Return the round through the log, where jobs are let go; else it is the command's only one."""
    if not sifts:
        return None
    number = min(sift.round for sift in sifts.values())
    return Stage(f"folds without old jobs, round {number} of {SIFT_ROUNDS}")

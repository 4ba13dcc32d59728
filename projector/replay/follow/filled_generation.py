"""The generation being filled: not live yet, folded up to where the live one stands."""

from collections.abc import Sequence
from typing import Final

from projector.errors import ProjectorError
from projector.fold.batch import MAX_WINDOW_RECORDS, ONE_STEP, Batch, Limits
from projector.fold.batches import Stretch
from projector.store.buckets import Offsets
from projector.store.catalog import Catalog
from projector.store.generation import Generation, Prepared, Skipped
from projector.store.live import AskEnds
from schemas.redis_layout import BUILDING, Pointer
from service.redis import AnyRedis

# Redis does nothing else while it joins these in, one or two milliseconds: a query waits no longer.
STEP_JOBS: Final = 25
# What is folded together and written in such steps. A follower's memory is bounded by the bytes: a large job is many of
# these records.
WINDOW_BYTES: Final = 12 * 1024 * 1024
WINDOW: Final = Limits(MAX_WINDOW_RECORDS, WINDOW_BYTES, jobs=5_000, sent_characters=WINDOW_BYTES)
# What is one step after all, since somebody may look at it.
SMALL: Final = Limits(jobs=2 * STEP_JOBS)
# More than what is looked at lacks (see switch.py).
FAR_EVENTS: Final = 2_000


class FilledGenerationLostError(ProjectorError):
    """The generation in the making is gone from Redis: run the command again."""

    retriable = False

    def __str__(self) -> str:
        """Return the sentence for people."""
        return str(self.__doc__)


class FilledGeneration:
    """A generation that is folded beside the live one; `reached` says how far that is, by partition.

    As long as nobody looks at it but us, a batch is large and more than one step. That ends where it is far behind no
    more: from there on `rebuild --check` holds each of its jobs against its positions, and batches are small.
    """

    def __init__(self, redis: AnyRedis, prefix: str, pointer: Pointer) -> None:
        self.generation = Generation(redis, prefix, pointer)
        self._redis = redis
        self._prefix = prefix
        self._catalog = Catalog(redis, prefix)
        self.reached: Offsets = {}
        self._is_new = False
        self._close: set[str] = set()  # partitions, for good

    async def open(self, _: AskEnds) -> None:
        """Return when it is there as it was begun; FilledGenerationLostError otherwise."""
        pointer = self.generation.pointer
        kept = (await self._catalog.read()).kept.get(pointer.number)
        if kept is None or kept.pointer != pointer:
            raise FilledGenerationLostError
        self._is_new = kept.state == BUILDING
        for bucket, incarnation in enumerate(pointer.incarnations):
            if (await self.generation.buckets.find(bucket))[0] != incarnation:
                raise FilledGenerationLostError
        self.generation.sifts = await self.generation.sifting.read()

    async def passed_over(self) -> Skipped:
        """Return what the live generation has passed over by command."""
        state = await self._catalog.read()
        if state.live is None or not state.skipped:
            return {}
        live = Generation(self._redis, self._prefix, state.live)
        standings = await live.standings(list(state.skipped))
        return passed(state.skipped, {name: max(one.next) for name, one in standings.items()})

    async def mend(self, log_ends: Offsets) -> None:
        """Remove what is damaged of what the buckets keep beside their jobs, see `Buckets`."""
        await self.generation.buckets.mend(log_ends)

    def limits(self, stretches: Sequence[Stretch]) -> Limits:
        """Return the limits of a window far behind, and of a step that queries hardly notice close behind."""
        if not self._is_new:
            return ONE_STEP
        ends = {stretch.partition: stretch.next for stretch in stretches}
        self._close |= {name for name, end in ends.items() if self.reached.get(name, 0) - end < FAR_EVENTS}
        return WINDOW if self._close.isdisjoint(ends) else SMALL

    async def prepare(self, batch: Batch) -> Prepared:
        """Prepare a batch, see `Generation`: a window in steps, any other as one."""
        return await self.generation.prepare(batch, STEP_JOBS if batch.limits.jobs > ONE_STEP.jobs else None)

    async def write(self, prepared: Prepared) -> int:
        """Write what was prepared, see `Generation`."""
        return await self.generation.write(prepared)


def passed(skipped: Skipped, reached: Offsets) -> Skipped:
    """Return the ranges whose end a generation has reached that stands there: the others it has not passed over."""
    return {
        name: {start: end for start, end in ranges.items() if end <= reached.get(name, 0)}
        for name, ranges in skipped.items()
    }

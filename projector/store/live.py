"""The live generation, as the projector that writes it sees it: opened, begun, mended, followed when it changes."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from projector.errors import BucketMissingError, BucketSealedError, ForeignProjectionError
from projector.fold.batch import ONE_STEP, Batch, Limits
from projector.fold.batches import Stretch
from projector.store.buckets import Buckets, Offsets
from projector.store.catalog import Catalog, State
from projector.store.generation import Generation, Prepared, Skipped
from projector.store.sifting import first_round
from schemas.redis_layout import FOLD_VERSION, Pointer
from service.redis import AnyRedis

FIRST_GENERATION: Final = 1

# Asks the log for its ends.
AskEnds = Callable[[], Awaitable[Offsets]]


@dataclass(frozen=True, slots=True)
class LogIdentity:
    """Which log a projection is a fold of."""

    cluster: str
    topic: str


class Live:
    """The live generation of a projection in Redis."""

    def __init__(self, redis: AnyRedis, prefix: str, log: LogIdentity, *, buckets: int = 1) -> None:
        self._redis = redis
        self._prefix = prefix
        self._log = log
        self._buckets_of_new = buckets
        self._catalog = Catalog(redis, prefix)
        self._opened: Generation | None = None
        # What the catalog said when it was read last: jobs without news since then are let go; empty when none are.
        self.cutoff = ""

    @property
    def generation(self) -> Generation:
        """The generation that was opened; BucketMissingError when none was."""
        if self._opened is None:
            raise BucketMissingError("the projection was not opened")
        return self._opened

    async def open(self, ask_ends: AskEnds) -> None:
        """Open the live generation, beginning it or those of its buckets that are missing.

        Only when something has to be begun the log is asked for its ends, which become the floor of that. A bucket
        that came back as another one (a restored or emptied node) is adopted: its positions are its own, so it only
        has to catch up before it is read. BucketSealedError while a switch is under way; a seal that was left over by
        one that died is removed.
        """
        pointer = await self._whole()
        if pointer is None:
            pointer = await self._begun(await ask_ends())
        opened = Generation(self._redis, self._prefix, pointer)
        opened.sifts = await opened.sifting.read()
        self._opened = opened

    async def passed_over(self) -> Skipped:
        """Return what is to be passed over of the log by command."""
        return (await self._catalog.read()).skipped

    async def mend(self, log_ends: Offsets) -> None:
        """Remove what is damaged of what the buckets keep beside their jobs, and hide those until the ends are reached.

        What was removed is made again: positions by folding from the log's start, the rest at once.
        """
        await self._buckets(await self._ensure_pointer()).mend(log_ends)

    def limits(self, _: Sequence[Stretch]) -> Limits:
        """Return the limits of one step: what is read moves together with its positions."""
        return ONE_STEP

    async def prepare(self, batch: Batch) -> Prepared:
        """Prepare a batch for the generation that was opened, see `Generation`."""
        return await self.generation.prepare(batch)

    async def write(self, prepared: Prepared) -> int:
        """Write what was prepared since it was opened, see `Generation`."""
        return await self.generation.write(prepared)

    async def apply(self, batch: Batch) -> int:
        """Prepare a batch and write it."""
        return await self.generation.apply(batch)

    async def check_pointer(self) -> None:
        """Raise BucketMissingError when another generation, or none, is live than the one that was opened."""
        state = await self._catalog.read()
        await self._learn_cutoff(state)
        if state.live != self.generation.pointer:
            raise BucketMissingError("the pointer to the live generation is gone or changed")

    async def _whole(self) -> Pointer | None:
        """Return the live generation when all of it is there, which needs no look at the log."""
        pointer = await self._ensure_pointer()
        buckets = self._buckets(pointer)
        for (found, sealed), incarnation in zip(await buckets.each(buckets.find), pointer.incarnations, strict=False):
            if found != incarnation:
                return None
            if sealed is not None:
                await self._remove_left_over_seal(buckets, sealed)
        return pointer

    async def _begun(self, log_ends: Offsets) -> Pointer:
        """Return the live generation after its missing buckets were begun, and strange ones adopted."""
        pointer = await self._ensure_pointer()
        buckets = self._buckets(pointer)
        in_force = []
        for bucket in buckets.numbers:
            begun = await buckets.begin(bucket, log_ends, fields=first_round(self.cutoff))
            if begun.sealed is not None:
                await self._remove_left_over_seal(buckets, begun.sealed)
            if begun.incarnation != pointer.incarnations[bucket]:
                if not begun.was_made and log_ends:
                    await buckets.raise_floor(bucket, log_ends)
                await self._catalog.announce(bucket, begun.incarnation)
            in_force.append(begun.incarnation)
        return replace(pointer, incarnations=tuple(in_force))

    async def _ensure_pointer(self) -> Pointer:
        """Return the live generation, making it when there is none."""
        first = Pointer(FIRST_GENERATION, self._buckets_of_new, FOLD_VERSION, self._log.cluster, self._log.topic, ())
        state = await self._catalog.ensure(first)
        pointer = state.live
        if pointer is None:
            raise BucketSealedError("an import is under way")
        check_is_ours(pointer, self._log, self._prefix)
        if pointer.fold_version != FOLD_VERSION:
            raise ForeignProjectionError(
                f"Redis holds under the prefix {self._prefix!r} a projection by fold version {pointer.fold_version}, "
                f"this projector folds by version {FOLD_VERSION}: run `python -m projector rebuild` of this version, "
                "which switches to a projection of its own beside the old one"
            )
        await self._learn_cutoff(state)
        return pointer

    async def _learn_cutoff(self, state: State) -> None:
        """Learn the cutoff in force; a catalog that was lost is told the one that was."""
        if state.cutoff < self.cutoff:
            self.cutoff = await self._catalog.raise_cutoff(self.cutoff)
        else:
            self.cutoff = state.cutoff

    async def _remove_left_over_seal(self, buckets: Buckets, sealed: int) -> None:
        epoch, is_held = await self._catalog.end_lease()
        if is_held:
            raise BucketSealedError("a switch of generations is under way")
        await buckets.unseal(max(epoch, sealed))

    def _buckets(self, pointer: Pointer) -> Buckets:
        return Buckets(self._redis, self._prefix, pointer)


def check_is_ours(pointer: Pointer, log: LogIdentity, prefix: str) -> None:
    """Raise ForeignProjectionError unless the generation is a fold of this log."""
    if (pointer.cluster, pointer.topic) != (log.cluster, log.topic):
        raise ForeignProjectionError(
            f"Redis holds under the prefix {prefix!r} a projection of topic {pointer.topic!r} on Kafka cluster "
            f"{pointer.cluster!r}; this is {log.topic!r} on {log.cluster!r}: set another REDIS_PREFIX, or delete the "
            "old projection"
        )

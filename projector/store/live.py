"""The store: the live generation, as the projector that writes it sees it."""

from dataclasses import dataclass, replace
from typing import Final

from projector.errors import BucketMissingError, BucketSealedError, ForeignProjectionError
from projector.store.catalog import Catalog
from projector.store.generation import Generation, Offsets
from schemas.redis_layout import FOLD_VERSION, Pointer
from service.redis import AnyRedis

FIRST_GENERATION: Final = 1


@dataclass(frozen=True, slots=True)
class LogIdentity:
    """Which log a projection is a fold of."""

    cluster: str
    topic: str


class Store(Generation):
    """The live generation of a projection in Redis."""

    def __init__(self, redis: AnyRedis, prefix: str, log: LogIdentity, *, buckets: int = 1) -> None:
        super().__init__(redis, prefix)
        self._catalog = Catalog(redis, prefix)
        self._log = log
        self._buckets_of_new = buckets
        # What the catalog said when it was read last: jobs without news since then are let go; empty when none are.
        self.cutoff = ""

    async def reopen(self) -> bool:
        """Open the live generation when all of it is there, which needs no look at the log; tell whether it was."""
        pointer = await self._ensure_pointer()
        for bucket, incarnation in enumerate(pointer.incarnations):
            found, sealed = await self.find(pointer, bucket)
            if found != incarnation:
                return False
            if sealed is not None:
                await self._remove_left_over_seal(pointer, sealed)
        self._pointer = pointer
        return True

    async def open(self, log_ends: Offsets) -> None:
        """Open the live generation, beginning it or those of its buckets that are missing.

        `log_ends` become the floor of what is begun. A bucket that came back as another one (a restored or emptied
        node) is adopted: its positions are its own, so it only has to catch up before it is read. BucketSealedError
        while a switch is under way; a seal that was left over by one that died is removed.
        """
        pointer = await self._ensure_pointer()
        in_force = []
        for bucket in range(pointer.buckets):
            begun = await self.begin(pointer, bucket, log_ends)
            if begun.sealed is not None:
                await self._remove_left_over_seal(pointer, begun.sealed)
            if begun.incarnation != pointer.incarnations[bucket]:
                if not begun.was_made and log_ends:
                    await self.raise_floor_of(pointer, bucket, log_ends)
                await self._catalog.announce(bucket, begun.incarnation)
            in_force.append(begun.incarnation)
        self._pointer = replace(pointer, incarnations=tuple(in_force))

    async def mend(self, log_ends: Offsets) -> None:
        """Remove what is damaged of what the live generation's buckets keep beside their jobs, see `Generation`."""
        self._pointer = await self._ensure_pointer()
        await super().mend(log_ends)

    async def check_pointer(self) -> None:
        """Raise BucketMissingError when another generation, or none, is live than the one that was opened."""
        state = await self._catalog.read()
        self.cutoff = state.cutoff
        if state.live != self.pointer:
            raise BucketMissingError("the pointer to the live generation is gone or changed")

    async def _ensure_pointer(self) -> Pointer:
        """Return the live generation, making it when there is none."""
        first = Pointer(FIRST_GENERATION, self._buckets_of_new, FOLD_VERSION, self._log.cluster, self._log.topic, ())
        pointer = (await self._catalog.ensure(first)).live
        if pointer is None:
            raise BucketSealedError("an import is under way")
        check_is_ours(pointer, self._log, self._prefix)
        if pointer.fold_version != FOLD_VERSION:
            raise ForeignProjectionError(
                f"Redis holds under the prefix {self._prefix!r} a projection by fold version {pointer.fold_version}, "
                f"this projector folds by version {FOLD_VERSION}: run `python -m projector rebuild` of this version, "
                "which switches to a projection of its own beside the old one"
            )
        return pointer

    async def _remove_left_over_seal(self, pointer: Pointer, sealed: int) -> None:
        epoch, is_held = await self._catalog.end_lease()
        if is_held:
            raise BucketSealedError("a switch of generations is under way")
        await Generation(self._redis, self._prefix, pointer).unseal(max(epoch, sealed))


def check_is_ours(pointer: Pointer, log: LogIdentity, prefix: str) -> None:
    """Raise ForeignProjectionError unless the generation is a fold of this log."""
    if (pointer.cluster, pointer.topic) != (log.cluster, log.topic):
        raise ForeignProjectionError(
            f"Redis holds under the prefix {prefix!r} a projection of topic {pointer.topic!r} on Kafka cluster "
            f"{pointer.cluster!r}; this is {log.topic!r} on {log.cluster!r}: set another REDIS_PREFIX, or delete the "
            "old projection"
        )

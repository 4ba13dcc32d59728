"""Sifting: a generation is filled without jobs that have no news since the cutoff, so that it needs no room for them.

Whether a job has news is known only when all its events were read. So the log is folded twice, see `Sift`: in both
rounds a job that is not stored is made only by a batch that has news of it. All news of the log is met in the first
round, so whatever has news is stored when the second begins, which joins in all its other events. The rest never is.

Case 1: a projector dies, or two of them end a round. The step checks what it expects, and is made once.
Case 2: a projector still folds for the round before. Each batch tells the round it was folded for, and is refused.
Case 3: news of a job comes that has none up to the floors, and so is not stored. It is made by that news alone, as
        after it was collected (see expiry/collector.py).
"""

from collections.abc import Mapping

from projector.store.buckets import Buckets
from projector.store.calls import Script, check, limited, understood
from schemas.redis_layout import FLOOR, META, POSITIONS, SIFT, Sift
from service.redis import AnyRedis

# Bucket -> what it says, of those that are sifted.
Sifts = Mapping[int, Sift]


class Sifting:
    """The sifting of a generation's buckets."""

    def __init__(self, redis: AnyRedis, buckets: Buckets) -> None:
        self._redis = redis
        self._buckets = buckets
        self._sift = Script(redis, "sift")

    async def read(self) -> Sifts:
        """Return which buckets are sifted; DamagedBucketError when one does not say that rightly."""

        async def read(bucket: int) -> Sift | None:
            (key,) = self._buckets.keys(bucket, META)
            async with limited():
                stored = await self._redis.hget(key, SIFT)
            with understood():
                return Sift.of(stored) if isinstance(stored, bytes) else None

        return {bucket: sift for bucket, sift in enumerate(await self._buckets.each(read)) if sift}

    async def begin(self, cutoff: str) -> int:
        """Begin to sift what is neither sifted nor whole; return how many buckets that are."""
        sifts = await self.read()
        due = [bucket for bucket in self._buckets.numbers if bucket not in sifts]
        answers = [await self._step(bucket, None, Sift(1, cutoff)) for bucket in due]
        return answers.count(b"sifting")

    async def go_on(self) -> Sifts:
        """Go on to the next round where one is over; return which buckets are sifted after that."""
        sifts = await self.read()
        for bucket, sift in sifts.items():
            await self._step(bucket, sift, sift.next)
        return await self.read() if sifts else sifts

    async def _step(self, bucket: int, expected: Sift | None, wanted: Sift | None) -> bytes:
        keys = self._buckets.keys(bucket, META, POSITIONS)
        incarnation = self._buckets.pointer.incarnations[bucket]
        stored = [sift.stored if sift else "" for sift in (expected, wanted)]
        answer = await self._sift(keys, [incarnation, SIFT, *stored, FLOOR])
        check(answer)
        reason: bytes = answer[0]
        return reason


def first_round(cutoff: str) -> dict[str, str]:
    """Return what a new bucket says of itself so that it is sifted; nothing when there is no cutoff."""
    return {SIFT: Sift(1, cutoff).stored} if cutoff else {}

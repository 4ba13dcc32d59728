"""A generation: a fold of the whole log, of which one is live; where it stands, and what is applied to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol, cast

from projector.fold.batch import Batch, Span
from projector.store.apply import ApplyStep, encode, remembered
from projector.store.bucket_fields import fingerprint_in
from projector.store.buckets import Buckets
from projector.store.calls import limited, understood
from projector.store.heartbeats import Heartbeats
from projector.store.ledger import Ledger, ledgers
from projector.store.sifting import Sifting, Sifts
from projector.store.steps import in_steps, sent_together
from schemas.redis_layout import FINGERPRINT, POSITIONS, Pointer, number_in
from service.redis import AnyRedis


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a partition stands in each bucket: the next offset, and the fingerprint of the record before it."""

    next: tuple[int, ...]
    fingerprints: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """That of the record before the first position that any bucket goes on from."""
        return self.fingerprints[self.next.index(min(self.next))]


class Part(NamedTuple):
    """What one bucket is sent of a batch, step by step, and the spans, by their index, that are in it."""

    packed: Sequence[bytes]
    spans: Mapping[int, Span]


# By bucket, what is sent of a batch to the generation that it was prepared for.
Prepared = Mapping[int, Part]


class Generation:
    """A generation in Redis."""

    def __init__(self, redis: AnyRedis, prefix: str, pointer: Pointer) -> None:
        self._redis = redis
        self.pointer = pointer
        self.buckets = Buckets(redis, prefix, pointer)
        self.heartbeats = Heartbeats(redis, self.buckets)
        self._step = ApplyStep(redis, self.buckets)
        self.sifting = Sifting(redis, self.buckets)
        # Which buckets are sifted, as far as whoever applies has looked.
        self.sifts: Sifts = {}

    async def standings(self, partitions: Sequence[str]) -> dict[str, Standing]:
        """Return where each of the partitions stands; 0 where nothing is stored."""
        names = [*partitions, *(name + FINGERPRINT for name in partitions)]

        async def read(bucket: int) -> list[bytes | None]:
            (key,) = self.buckets.keys(bucket, POSITIONS)
            async with limited():
                return cast("list[bytes | None]", await self._redis.hmget(key, names))

        stored = await self.buckets.each(read)
        with understood():
            return {
                name: Standing(
                    tuple(number_in(values[index] or b"0") for values in stored),
                    tuple(fingerprint_in(values[index + len(partitions)]) for values in stored),
                )
                for index, name in enumerate(partitions)
            }

    async def prepare(self, batch: Batch, most_jobs: int | None = None) -> Prepared:
        """Return a batch as it is sent; a bucket that stands beyond a span is not sent it again.

        It was ahead when the projector resumed. With `most_jobs` it is sent in steps of so many (see steps.py).
        """
        sifts = self.sifts
        jobs = await encode(batch, self.pointer.buckets, sifts)
        refused = remembered(batch, self.pointer.buckets, sifts)
        parts: dict[int, Part] = {}
        for bucket in self.buckets.numbers:
            if due := _due(batch, bucket):
                *early, last = in_steps(jobs[bucket], most_jobs) if most_jobs else [jobs[bucket]]
                sift = sifts.get(bucket)
                packed = [self._step.pack(bucket, step, {}, sift) for step in early]
                parts[bucket] = Part([*packed, self._step.pack(bucket, last, due, sift, refused[bucket])], due)
        return parts

    async def write(self, prepared: Prepared) -> int:
        """Join what was prepared into every bucket and move the positions; return how many jobs changed.

        Raises what the step raises; then some buckets may have the batch and others not.
        """

        async def write(bucket: int) -> int:
            part = prepared.get(bucket)
            if not part:
                return 0
            *early, last = part.packed
            changed = [await self._step.add(bucket, steps) for steps in sent_together(early)]
            return sum(changed) + await self._step(bucket, last, part.spans)

        return sum(await self.buckets.each(write))

    async def apply(self, batch: Batch) -> int:
        """Prepare a batch and write it."""
        return await self.write(await self.prepare(batch))

    async def ledgers(self) -> dict[str, Ledger]:
        """Return the ledger of every partition, by its name."""
        stored = await self.buckets.each(partial(self.buckets.read, name=POSITIONS))
        with understood():
            return ledgers(stored)


# Partition name -> ranges of offsets that are passed over by command, as start -> end.
Skipped = Mapping[str, Mapping[int, int]]


class Opened(Protocol):
    """What has the generation that is written now."""

    @property
    def generation(self) -> Generation:
        """That generation; BucketMissingError when it was not opened."""

    async def passed_over(self) -> Skipped:
        """Return what is to be passed over of the log by command, as far as this generation goes."""


def _due(batch: Batch, bucket: int) -> dict[int, Span]:
    """Return the spans, by their index, that this bucket has not yet."""
    return {index: span for index, span in enumerate(batch.spans) if span.is_due(bucket)}

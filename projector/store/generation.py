"""A generation: its buckets in Redis, their positions, and the one step that moves both."""

import asyncio
import math
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, cast

import structlog

from projector.errors import (
    BucketMissingError,
    BucketSealedError,
    DamagedKeyError,
    PositionMovedError,
)
from projector.fold.batch import Batch, Span, pack
from projector.store.bucket_fields import fingerprint_in, incarnation_in
from projector.store.calls import Script, limited, understood
from projector.store.ledger import Ledger, ledgers
from schemas.redis_layout import (
    FINGERPRINT,
    FLOOR,
    HEARTBEATS,
    INCARNATION,
    META,
    MOST_DIGITS,
    POSITIONS,
    SEALED,
    Pointer,
    bucket_prefix,
    number_in,
)
from service.redis import AnyRedis, read_hash

# Each call takes a connection of its own, and a client that has no more of them fails.
BUCKETS_AT_ONCE: Final = 16
# Partition name -> offset.
Offsets = Mapping[str, int]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a partition stands in each bucket: the next offset, and the fingerprint of the record before it."""

    next: tuple[int, ...]
    fingerprints: tuple[str, ...]


class Begun(NamedTuple):
    """A bucket that was begun or found: its incarnation, whether it was made now, and the epoch of its seal."""

    incarnation: str
    was_made: bool
    sealed: int | None


class Generation:
    """The buckets of a generation in Redis."""

    def __init__(self, redis: AnyRedis, prefix: str, pointer: Pointer | None = None) -> None:
        self._redis = redis
        self._prefix = prefix
        self._pointer = pointer
        self._at_once = asyncio.Semaphore(BUCKETS_AT_ONCE)
        self._apply = Script(redis, "apply")
        self._begin, self._clock, self._beat, self._raise_floor, self._mend, self._seal, self._unseal = (
            Script(redis, name) for name in ("begin", "clock", "heartbeat", "raise_floor", "mend", "seal", "unseal")
        )

    @property
    def pointer(self) -> Pointer:
        """Which generation it is."""
        if self._pointer is None:
            raise BucketMissingError("the projection was not opened")
        return self._pointer

    @property
    def buckets(self) -> range:
        """The numbers of its buckets."""
        return range(self.pointer.buckets)

    async def reopen(self) -> bool:
        """Make it ready to be written when all of it is there; tell whether it was."""
        raise NotImplementedError

    async def open(self, log_ends: Offsets) -> None:
        """Make it ready to be written; `log_ends` become the floor of what has to be begun."""
        raise NotImplementedError

    async def find(self, pointer: Pointer, bucket: int) -> tuple[str | None, int | None]:
        """Return the incarnation of a bucket and the epoch of its seal; None where there is none.

        DamagedBucketError when its meta is damaged.
        """
        async with limited():
            meta = await read_hash(self._redis, self._keys(pointer, bucket, META)[0])
            for name, value in meta.items():
                if name.startswith(FLOOR.encode()):
                    number_in(value)
            incarnation, sealed = meta.get(INCARNATION.encode()), meta.get(SEALED.encode())
            return incarnation_in(incarnation), None if sealed is None else number_in(sealed)

    async def begin(self, pointer: Pointer, bucket: int, floors: Offsets, incarnation: str | None = None) -> Begun:
        """Make a bucket with these floors, as this incarnation or a new one, unless it is there."""
        keys = self._keys(pointer, bucket, META, POSITIONS, HEARTBEATS)
        answer = await self._begin(keys, [incarnation or secrets.token_hex(8), INCARNATION, *floor_arguments(floors)])
        with understood():
            return Begun(answer[0].decode(), bool(answer[1]), None if answer[2] is None else number_in(answer[2]))

    async def mend(self, log_ends: Offsets) -> None:
        """Remove what is damaged of what buckets keep beside their jobs, and hide those until the offsets are reached.

        What was removed is made again: positions by folding from the log's start, the rest at once.
        """
        for bucket in self.buckets:
            removed = await self._mend(
                self._keys(self.pointer, bucket, META, POSITIONS, HEARTBEATS), [str(MOST_DIGITS), FINGERPRINT, FLOOR]
            )
            for name in removed:
                _log.error("removed, for it was damaged", key=name.decode(errors="replace"))
            if removed and (await self.find(self.pointer, bucket))[0]:
                await self.raise_floor_of(self.pointer, bucket, log_ends)

    async def raise_floor_of(self, pointer: Pointer, bucket: int, floors: Offsets) -> None:
        """Hide a bucket until these offsets have been applied again."""
        await self._raise_floor(self._keys(pointer, bucket, META), list(floor_arguments(floors)))

    async def seal(self, epoch: int) -> dict[str, int]:
        """Stop all writing; return for each partition the furthest position that a bucket has reached."""
        reached: dict[str, int] = {}
        for bucket in self.buckets:
            keys = self._keys(self.pointer, bucket, META, POSITIONS)
            answer = await self._seal(keys, [self.pointer.incarnations[bucket], str(epoch)])
            _check(answer)
            with understood():
                for name, value in zip(answer[1::2], answer[2::2], strict=True):
                    if b"#" not in name:
                        reached[name.decode()] = max(number_in(value), reached.get(name.decode(), 0))
        return reached

    async def unseal(self, epoch: int) -> None:
        """Allow writing again where it was stopped in this epoch or before."""
        for bucket in self.buckets:
            await self._unseal(self._keys(self.pointer, bucket, META), [str(epoch)])

    async def standings(self, partitions: Sequence[str]) -> dict[str, Standing]:
        """Return where each of the partitions stands; 0 where nothing is stored."""
        names = [*partitions, *(name + FINGERPRINT for name in partitions)]
        stored: list[list[bytes | None]] = []
        for bucket in self.buckets:
            async with limited():
                stored.append(cast("list[bytes | None]", await self._redis.hmget(self._key(bucket, POSITIONS), names)))
        with understood():
            return {
                name: Standing(
                    tuple(number_in(values[index] or b"0") for values in stored),
                    tuple(fingerprint_in(values[index + len(partitions)]) for values in stored),
                )
                for index, name in enumerate(partitions)
            }

    async def apply(self, batch: Batch, stored: Mapping[str, Sequence[int]]) -> int:
        """Join the batch into every bucket and move the positions; return how many jobs changed.

        `stored` has, for each partition of the batch, the position of each bucket. A bucket that stands beyond a
        span (it was ahead when the projector resumed) is not sent it again.
        """
        jobs = batch.encode(len(self.buckets))
        outcomes = await asyncio.gather(
            *(self._apply_to(bucket, jobs[bucket], _due(batch, stored, bucket)) for bucket in self.buckets),
            return_exceptions=True,
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return sum(outcome for outcome in outcomes if isinstance(outcome, int))

    async def clocks(self) -> tuple[str, ...]:
        """Return the time of each bucket's server."""
        times = [await self._clock([self._key(bucket, META)]) for bucket in self.buckets]
        return tuple(time.decode() for time in times)

    async def heartbeat(self, log_ends: Offsets, asked_at: Sequence[str]) -> dict[str, tuple[int, ...]]:
        """Record how far the log went; return where each partition stands in each bucket.

        `asked_at` has what `clocks` returned before the log was asked for its ends.
        """
        arguments = [item for name, end in log_ends.items() for item in (name, str(end))]
        answers = []
        for bucket in self.buckets:
            keys = self._keys(self.pointer, bucket, META, POSITIONS, HEARTBEATS)
            known = [self.pointer.incarnations[bucket], asked_at[bucket]]
            answer = await self._beat(keys, [*known, *arguments])
            _check(answer)
            with understood():
                answers.append([number_in(position) for position in answer[1:]])
        return dict(zip(log_ends, zip(*answers, strict=True), strict=True))

    async def heartbeat_age_seconds(self) -> float:
        """Return how long ago, by Redis' clock, anybody last confirmed a partition; infinite when nobody ever did."""
        async with limited():
            stored = await read_hash(self._redis, self._key(0, HEARTBEATS))
            asked_at = [number_in(heartbeat.partition(b" ")[0]) for heartbeat in stored.values()]
            newest = max(asked_at, default=-math.inf)
        return (int((await self.clocks())[0]) - newest) / 1000

    async def take_heartbeats(self, other: "Generation", reached: Offsets) -> None:
        """Take over what another generation knows of the log's ends, which lie at least where it has come to."""
        async with limited():
            stored = await read_hash(self._redis, other._key(0, HEARTBEATS))  # noqa: SLF001 - ours too
            known = {}
            for name, value in stored.items():
                milliseconds, end = value.split()
                known[name.decode()] = f"{milliseconds.decode()} {max(int(end), reached.get(name.decode(), 0))}"
        for bucket in self.buckets if known else ():
            async with limited():
                await self._redis.hset(self._key(bucket, HEARTBEATS), mapping=cast("dict[Any, Any]", known))

    async def ledgers(self) -> dict[str, Ledger]:
        """Return the ledger of every partition, by its name."""
        async with limited():
            return ledgers([await read_hash(self._redis, self._key(bucket, POSITIONS)) for bucket in self.buckets])

    async def raise_floors(self, floors: Offsets) -> None:
        """Hide what is stored until these offsets have been applied again."""
        for bucket in self.buckets:
            await self.raise_floor_of(self.pointer, bucket, floors)

    async def join(self, jobs: Sequence[list[list[object]]]) -> None:
        """Join jobs, encoded for each bucket, that do not come from a stretch of the log; positions stay."""
        for bucket in self.buckets:
            if jobs[bucket]:
                await self._write(bucket, {}, jobs[bucket])

    async def _apply_to(self, bucket: int, jobs: list[list[object]], due: Mapping[int, Span]) -> int:
        async with self._at_once:
            return await self._write(bucket, due, jobs) if due else 0

    async def _write(self, bucket: int, due: Mapping[int, Span], jobs: list[list[object]]) -> int:
        base = bucket_prefix(self._prefix, self.pointer.number, bucket)
        argument = pack(base, self.pointer.incarnations[bucket], due, jobs, is_first=bucket == 0)
        answer = await self._apply(self._keys(self.pointer, bucket, META, POSITIONS), [argument])
        _check(answer, due.values())
        changed: int = answer[1]
        return changed

    def _key(self, bucket: int, name: str) -> str:
        return bucket_prefix(self._prefix, self.pointer.number, bucket) + name

    def _keys(self, pointer: Pointer, bucket: int, *names: str) -> list[str]:
        base = bucket_prefix(self._prefix, pointer.number, bucket)
        return [base + name for name in names]


def _due(batch: Batch, stored: Mapping[str, Sequence[int]], bucket: int) -> dict[int, Span]:
    """Return the spans, by their index, that this bucket has not yet."""
    return {index: span for index, span in enumerate(batch.spans) if stored[span.partition][bucket] == span.start}


def _check(answer: Sequence[Any], spans: Iterable[Span] = ()) -> None:
    """Raise what the script's reason says, unless it did its work."""
    reason = answer[0]
    if reason == b"moved":
        with understood():
            partition, stored = answer[1].decode(), number_in(answer[2])
        expected = next(span.start for span in spans if span.partition == partition)
        raise PositionMovedError(partition, expected, stored)
    if reason == b"missing":
        raise BucketMissingError
    if reason == b"sealed":
        raise BucketSealedError
    if reason == b"damaged":
        raise DamagedKeyError(answer[1].decode(), answer[2].decode())


def floor_arguments(offsets: Offsets) -> Iterator[str]:
    """Yield floor field, offset, floor field, offset ..."""
    for name, offset in offsets.items():
        yield FLOOR + name
        yield str(offset)

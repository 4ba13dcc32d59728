"""The store: Redis as the projector sees it. Buckets, positions, and the one step that moves both.

Every call has one limit around it and is never repeated by itself: after any failure the outcome of a write is
unknown, and the caller finds out by reading the positions again.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final, cast

from redis.exceptions import RedisError

from projector.batch import Batch, Span, pack
from projector.errors import (
    BucketMissingError,
    BucketSealedError,
    DamagedKeyError,
    ForeignProjectionError,
    PositionMovedError,
    StoreUnavailableError,
)
from projector.ledger import Ledger, ledgers
from schemas.redis_layout import (
    FINGERPRINT,
    FLOOR,
    FOLD_VERSION,
    HEARTBEATS,
    INCARNATION,
    META,
    POSITIONS,
    Pointer,
    bucket_prefix,
    incarnation_field,
    pointer_key,
)
from service.redis import AnyRedis, read_hash

CALL_TIMEOUT_SECONDS: Final = 10.0
FIRST_GENERATION: Final = 1
# Partition name -> offset.
Offsets = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a partition stands in each bucket: the next offset, and the fingerprint of the record before it."""

    next: tuple[int, ...]
    fingerprints: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LogIdentity:
    """Which log a projection is a fold of."""

    cluster: str
    topic: str


class Store:
    """The live generation of a projection in Redis."""

    def __init__(self, redis: AnyRedis, prefix: str, log: LogIdentity, *, buckets: int = 1) -> None:
        self._redis = redis
        self._prefix = prefix
        self._log = log
        self._buckets_of_new = buckets
        self._pointer: Pointer | None = None
        self._apply, self._begin, self._clock, self._beat, self._raise_floor, self._point = (
            redis.register_script((files("projector") / f"{name}.lua").read_text())
            for name in ("apply", "begin", "clock", "heartbeat", "raise_floor", "point")
        )

    @property
    def pointer(self) -> Pointer:
        """The generation that was opened."""
        if self._pointer is None:
            raise BucketMissingError("the projection was not opened")
        return self._pointer

    @property
    def buckets(self) -> range:
        """The buckets of the generation that was opened."""
        return range(self.pointer.buckets)

    async def open(self, log_ends: Offsets) -> None:
        """Open the live generation, beginning it or those of its buckets that are missing.

        `log_ends` become the floor of what is begun. A bucket that came back as another one (a restored or emptied
        node) is adopted: its positions are its own, so it only has to catch up before it is read.
        """
        pointer = await self._ensure_pointer()
        floors = list(_floor_arguments(log_ends))
        in_force = []
        for bucket in range(pointer.buckets):
            keys = self._keys(pointer, bucket, META, POSITIONS, HEARTBEATS)
            arguments = [secrets.token_hex(8), INCARNATION, *floors]
            incarnation, was_made = await self._run(self._begin, keys, arguments)
            if incarnation.decode() != pointer.incarnations[bucket]:
                if not was_made and floors:
                    await self._run(self._raise_floor, keys[:1], floors)
                await self._announce(bucket, incarnation.decode())
            in_force.append(incarnation.decode())
        self._pointer = Pointer(
            pointer.live, pointer.buckets, pointer.fold_version, pointer.cluster, pointer.topic, tuple(in_force)
        )

    async def standings(self, partitions: Sequence[str]) -> dict[str, Standing]:
        """Return where each of the partitions stands; 0 where nothing is stored."""
        names = [*partitions, *(name + FINGERPRINT for name in partitions)]
        stored: list[list[bytes | None]] = []
        for bucket in self.buckets:
            async with _limited():
                stored.append(cast("list[bytes | None]", await self._redis.hmget(self._key(bucket, POSITIONS), names)))
        return {
            name: Standing(
                tuple(int(values[index] or 0) for values in stored),
                tuple((values[index + len(partitions)] or b"").decode() for values in stored),
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
        times = [await self._run(self._clock, [self._key(bucket, META)], []) for bucket in self.buckets]
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
            answer = await self._run(self._beat, keys, [*known, *arguments])
            _check(answer)
            answers.append([int(position) for position in answer[1:]])
        return dict(zip(log_ends, zip(*answers, strict=True), strict=True))

    async def ledgers(self) -> dict[str, Ledger]:
        """Return the ledger of every partition, by its name."""
        async with _limited():
            return ledgers([await read_hash(self._redis, self._key(bucket, POSITIONS)) for bucket in self.buckets])

    async def check_pointer(self) -> None:
        """Raise BucketMissingError when the pointer is not the one that was opened."""
        async with _limited():
            fields = await read_hash(self._redis, pointer_key(self._prefix))
        if fields != {name.encode(): value.encode() for name, value in self.pointer.as_fields().items()}:
            raise BucketMissingError("the pointer to the live generation is gone or changed")

    async def raise_floors(self, floors: Offsets) -> None:
        """Hide what is stored until these offsets have been applied again."""
        for bucket in self.buckets:
            await self._run(self._raise_floor, [self._key(bucket, META)], list(_floor_arguments(floors)))

    async def _apply_to(self, bucket: int, jobs: list[list[object]], due: Mapping[int, Span]) -> int:
        if not due:
            return 0
        base = bucket_prefix(self._prefix, self.pointer.live, bucket)
        argument = pack(base, self.pointer.incarnations[bucket], due, jobs, is_first=bucket == 0)
        answer = await self._run(self._apply, self._keys(self.pointer, bucket, META, POSITIONS), [argument])
        _check(answer, due.values())
        changed: int = answer[1]
        return changed

    async def _ensure_pointer(self) -> Pointer:
        first = Pointer(FIRST_GENERATION, self._buckets_of_new, FOLD_VERSION, self._log.cluster, self._log.topic, ())
        fields = [item for pair in first.as_fields().items() for item in pair]
        answer = await self._run(self._point, [pointer_key(self._prefix)], fields)
        try:
            pointer = Pointer.from_fields(dict(zip(answer[::2], answer[1::2], strict=True)))
        except (KeyError, ValueError) as error:
            raise ForeignProjectionError(f"{pointer_key(self._prefix)} is damaged: {error}") from error
        expected = (FOLD_VERSION, self._log.cluster, self._log.topic)
        if (pointer.fold_version, pointer.cluster, pointer.topic) != expected:
            raise ForeignProjectionError(
                f"Redis holds under the prefix {self._prefix!r} a projection of topic {pointer.topic!r} on Kafka "
                f"cluster {pointer.cluster!r} by fold version {pointer.fold_version}; this projector folds "
                f"{self._log.topic!r} on {self._log.cluster!r} by version {FOLD_VERSION}: set another REDIS_PREFIX, "
                "or delete the old projection"
            )
        return pointer

    async def _announce(self, bucket: int, incarnation: str) -> None:
        async with _limited():
            await self._redis.hset(pointer_key(self._prefix), incarnation_field(bucket), incarnation)

    def _key(self, bucket: int, name: str) -> str:
        return bucket_prefix(self._prefix, self.pointer.live, bucket) + name

    def _keys(self, pointer: Pointer, bucket: int, *names: str) -> list[str]:
        base = bucket_prefix(self._prefix, pointer.live, bucket)
        return [base + name for name in names]

    async def _run(self, script: Any, keys: list[str], arguments: Sequence[str | bytes]) -> Any:
        async with _limited():
            return await script(keys, arguments)


def _due(batch: Batch, stored: Mapping[str, Sequence[int]], bucket: int) -> dict[int, Span]:
    """Return the spans, by their index, that this bucket has not yet."""
    return {index: span for index, span in enumerate(batch.spans) if stored[span.partition][bucket] == span.start}


def _check(answer: Sequence[Any], spans: Iterable[Span] = ()) -> None:
    """Raise what the script's reason says, unless it did its work."""
    reason = answer[0]
    if reason == b"moved":
        partition, stored = answer[1].decode(), int(answer[2])
        expected = next(span.start for span in spans if span.partition == partition)
        raise PositionMovedError(partition, expected, stored)
    if reason == b"missing":
        raise BucketMissingError
    if reason == b"sealed":
        raise BucketSealedError
    if reason == b"damaged":
        raise DamagedKeyError(answer[1].decode(), answer[2].decode())


def _floor_arguments(offsets: Offsets) -> Iterator[str]:
    for name, offset in offsets.items():
        yield FLOOR + name
        yield str(offset)


@asynccontextmanager
async def _limited() -> AsyncIterator[None]:
    """Bound a call to Redis, and tell all the ways in which it can fail from the answers it gives."""
    try:
        async with asyncio.timeout(CALL_TIMEOUT_SECONDS):
            yield
    except (RedisError, OSError, TimeoutError) as error:
        raise StoreUnavailableError(str(error) or type(error).__name__) from error

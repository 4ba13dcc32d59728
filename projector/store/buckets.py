"""The buckets of a generation: found, begun, hidden, mended. What is in them moves in one step only, see apply.py."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Final, NamedTuple, TypeVar

import structlog

from projector.store.bucket_fields import incarnation_in
from projector.store.calls import Script, limited, understood
from schemas.redis_layout import (
    CHANGES,
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

# Partition name -> offset.
Offsets = Mapping[str, int]

# Each call takes a connection of its own, and a client that has no more of them fails.
BUCKETS_AT_ONCE: Final = 16

Answer = TypeVar("Answer")

_BESIDE_JOBS: Final = (META, POSITIONS, HEARTBEATS)

_log = structlog.get_logger(__name__)


class Begun(NamedTuple):
    """A bucket that was begun or found: its incarnation, whether it was made now, and the epoch of its seal."""

    incarnation: str
    was_made: bool
    sealed: int | None


class Buckets:
    """The buckets of a generation in Redis, and what they keep beside their jobs."""

    def __init__(self, redis: AnyRedis, prefix: str, pointer: Pointer) -> None:
        self._redis = redis
        self._prefix = prefix
        self.pointer = pointer
        self._at_once = asyncio.Semaphore(BUCKETS_AT_ONCE)
        self._begin, self._raise_floor, self._mend, self._unseal = (
            Script(redis, f"bucket/{name}") for name in ("begin", "raise_floor", "mend", "unseal")
        )

    @property
    def numbers(self) -> range:
        """The number of each bucket."""
        return range(self.pointer.buckets)

    async def each(self, ask: Callable[[int], Awaitable[Answer]]) -> list[Answer]:
        """Ask for every bucket side by side, for Redis may be far; return the answers in order.

        Raises the first failure, once all have ended.
        """

        async def one(bucket: int) -> Answer:
            async with self._at_once:
                return await ask(bucket)

        outcomes = await asyncio.gather(*map(one, self.numbers), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]

    def base(self, bucket: int) -> str:
        """Return what every key of a bucket starts with."""
        return bucket_prefix(self._prefix, self.pointer.number, bucket)

    @property
    def bases(self) -> list[str]:
        """What the keys of each bucket start with."""
        return [self.base(bucket) for bucket in self.numbers]

    def keys(self, bucket: int, *names: str) -> list[str]:
        """Return keys of a bucket by their names."""
        return [self.base(bucket) + name for name in names]

    async def read(self, bucket: int, name: str) -> dict[bytes, bytes]:
        """Return the hash that a bucket keeps under a name."""
        async with limited():
            return await read_hash(self._redis, self.base(bucket) + name)

    async def find(self, bucket: int) -> tuple[str | None, int | None]:
        """Return the incarnation of a bucket and the epoch of its seal; None where there is none.

        DamagedBucketError when its meta is damaged.
        """
        meta = await self.read(bucket, META)
        with understood():
            for name, value in meta.items():
                if name.startswith(FLOOR.encode()):
                    number_in(value)
            sealed = meta.get(SEALED.encode())
            return incarnation_in(meta.get(INCARNATION.encode())), None if sealed is None else number_in(sealed)

    async def begin(
        self, bucket: int, floors: Offsets, incarnation: str | None = None, fields: Mapping[str, str] | None = None
    ) -> Begun:
        """Make a bucket with these floors and other fields, as this incarnation or a new one, unless it is there."""
        said = [text for pair in (fields or {}).items() for text in pair]
        arguments = [incarnation or secrets.token_hex(8), INCARNATION, *_floor_arguments(floors), *said]
        answer = await self._begin(self.keys(bucket, *_BESIDE_JOBS, CHANGES), arguments)
        with understood():
            return Begun(answer[0].decode(), bool(answer[1]), None if answer[2] is None else number_in(answer[2]))

    async def raise_floor(self, bucket: int, floors: Offsets) -> None:
        """Hide a bucket until these offsets have been applied again."""
        await self._raise_floor(self.keys(bucket, META), list(_floor_arguments(floors)))

    async def raise_floors(self, floors: Offsets) -> None:
        """Hide what is stored until these offsets have been applied again."""
        for bucket in self.numbers:
            await self.raise_floor(bucket, floors)

    async def mend(self, log_ends: Offsets) -> None:
        """Remove what is damaged of what buckets keep beside their jobs, and hide those until the offsets are reached.

        What was removed is made again: positions by folding from the log's start, the rest at once.
        """
        for bucket in self.numbers:
            keys = self.keys(bucket, *_BESIDE_JOBS)
            removed = await self._mend(keys, [str(MOST_DIGITS), FINGERPRINT, FLOOR])
            for name in removed:
                _log.error("removed, for it was damaged", key=name.decode(errors="replace"))
            if removed and (await self.find(bucket))[0]:
                await self.raise_floor(bucket, log_ends)

    async def unseal(self, epoch: int) -> None:
        """Allow writing again where it was stopped in this epoch or before."""
        for bucket in self.numbers:
            await self._unseal(self.keys(bucket, META), [str(epoch)])


def _floor_arguments(offsets: Offsets) -> Iterator[str]:
    """Yield floor field, offset, floor field, offset ..."""
    for name, offset in offsets.items():
        yield FLOOR + name
        yield str(offset)

"""What is stored of a generation, read at one moment and mended in one step, bucket by bucket."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgpack

from projector.errors import BucketMissingError, BucketSealedError, DamagedKeyError, PositionMovedError
from projector.replay.verify.judgement import Mend, StoredMember, StoredRefused
from projector.replay.verify.parallel.answers import stored_members
from projector.store.calls import Script
from schemas.redis_layout import (
    CHANGES,
    FINGERPRINT,
    FLOOR,
    IDENTITY_FIELDS,
    INDEXES,
    JOB,
    META,
    POSITIONS,
    REFUSED,
    REFUSED_TIMES,
    Pointer,
    bucket_prefix,
)
from service.errors import CommandError
from service.redis import AnyRedis

# What one answer may hold; a single job more.
ANSWER_BYTES: Final = 1024 * 1024
_FINGERPRINT: Final = re.compile(rb"\d{1,15}:[0-9a-f]{8}")
_ENTRIES_PER_STEP: Final = 2_000  # that a script looks at: some milliseconds
_NAMES: Final = (IDENTITY_FIELDS, INDEXES, JOB)
_KEYS: Final = (META, POSITIONS, REFUSED, REFUSED_TIMES, CHANGES)


class Asked(NamedTuple):
    """A member to read, and keys of indexes to look it up in besides those that its stored identity names."""

    member: bytes
    indexes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Moment:
    """A bucket at one moment: `positions` is the whole hash, `answer` tells of the first of the members asked for.

    `refused` is what is remembered of refused events, where no job was asked for.
    """

    positions: Mapping[bytes, bytes]
    floors: Mapping[str, str]
    members: Sequence[bytes]
    answer: bytes
    refused: StoredRefused | None = None

    def jobs(self) -> list[StoredMember]:
        """Return what is stored of these members."""
        return stored_members(self.members, self.answer)

    @property
    def fingerprints(self) -> dict[str, str]:
        """The fingerprint of the record applied last, of each partition that has one."""
        end = FINGERPRINT.encode()
        return {
            name.removesuffix(end).decode(): value.decode(errors="replace")
            for name, value in self.positions.items()
            if name.endswith(end) and _FINGERPRINT.fullmatch(value)
        }

    @property
    def next(self) -> dict[str, int]:
        """The next offset of each partition."""
        try:
            return {name.decode(): int(value) for name, value in self.positions.items() if b"#" not in name}
        except ValueError as error:
            raise CommandError(
                f"a stored position is no number ({error}): start a projector, which removes it and reads the log again"
            ) from error


@dataclass(frozen=True, slots=True)
class Mends:
    """What is mended together: jobs, index keys that are none, fields of positions and of meta, refused events."""

    jobs: Sequence[Mend] = ()
    keys: Sequence[str] = ()
    positions: Mapping[str, str] | None = None
    meta: Mapping[str, str] | None = None
    refused: Mapping[str, int] | None = None


class StoredGeneration:
    """The buckets of a generation, to be verified."""

    def __init__(self, redis: AnyRedis, prefix: str, pointer: Pointer, *, is_kept: bool = False) -> None:
        """`is_kept`: it is not live, and the caller holds the lease while it mends."""
        self._is_kept = is_kept
        self._prefix = prefix
        self.pointer = pointer
        self._begun: dict[int, asyncio.Task[Any]] = {}
        self._read, self._mend = Script(redis, "replay/verify_read"), Script(redis, "replay/verify_mend")
        self._entries = Script(redis, "replay/verify_entries")

    def begin(self, bucket: int, asked: Sequence[Asked]) -> None:
        """Begin to read, so that Redis works while what was read before is judged; `read` takes it up."""
        self._begun[id(asked)] = asyncio.create_task(self._asked(bucket, asked))

    async def close(self) -> None:
        """End what was begun and is not wanted any more."""
        for begun in self._begun.values():
            begun.cancel()
        await asyncio.gather(*self._begun.values(), return_exceptions=True)

    async def read(self, bucket: int, asked: Sequence[Asked] = ()) -> Moment:
        """Return positions and jobs of one moment; BucketMissingError when the bucket is not the one it was."""
        begun = self._begun.pop(id(asked), None)
        answer = await (begun or self._asked(bucket, asked))
        self._check(bucket, answer)
        positions, meta = _pairs(answer[1]), _pairs(answer[2])
        floors = {
            name.decode().removeprefix(FLOOR): value.decode()
            for name, value in meta.items()
            if name.startswith(FLOOR.encode())
        }
        return Moment(positions, floors, [one.member for one in asked], answer[3], _refused(answer[4]))

    async def _asked(self, bucket: int, asked: Sequence[Asked]) -> Any:
        base = self._base(bucket)
        argument = _packed(base, self.pointer.incarnations[bucket], asked, _NAMES, ANSWER_BYTES)
        return await self._read([base + name for name in _KEYS], [argument])

    async def mend(self, bucket: int, moment: Moment, mends: Mends) -> None:
        """Write what is right, if the bucket's positions are still those of the moment, else PositionMovedError.

        BucketSealedError while a switch is under way.
        """
        base = self._base(bucket)
        argument = _packed(
            base,
            self.pointer.incarnations[bucket],
            [text for name, offset in moment.next.items() for text in (name, str(offset))],
            [(mend.member, _flat(mend.fields or {})) for mend in mends.jobs],
            [(key, mend.member, score) for mend in mends.jobs for key, score in mend.entries.items()],
            [(key, mend.member) for mend in mends.jobs for key in mend.gone],
            mends.keys,
            _flat(mends.positions or {}),
            _flat(mends.meta or {}),
            JOB,
            self._is_kept,
            False if mends.refused is None else _flat({entry: str(at) for entry, at in mends.refused.items()}),
        )
        answer = await self._mend([base + name for name in _KEYS], [argument])
        self._check(bucket, answer)

    async def surplus(self, bucket: int, keys: Sequence[bytes]) -> AsyncIterator[dict[str, list[bytes] | str]]:
        """Yield, by the key of their index, members whose stored job does not have it; the type of a key that is none.

        Keys are without what every key of the bucket starts with.
        """
        base = self._base(bucket)
        asked = [(key, b"0") for key in keys]
        while asked:
            argument = _packed(base, asked, _NAMES, _ENTRIES_PER_STEP)
            done, told = await self._entries([base + META], [argument])
            found: dict[str, list[bytes] | str] = {}
            more = []
            for number, cursor, kind, members in msgpack.unpackb(told, raw=True):
                key = asked[number - 1][0]
                found[key.decode(errors="surrogateescape")] = kind.decode() if kind else members
                if cursor != b"0":
                    more.append((key, cursor))
            asked = asked[done:] + more
            yield found

    def _check(self, bucket: int, answer: Sequence[Any]) -> None:
        reason = answer[0]
        if reason == b"missing":
            raise BucketMissingError(
                f"bucket {bucket} of generation {self.pointer.number} was emptied or begun again: run verify again"
            )
        if reason == b"damaged":
            raise DamagedKeyError(answer[1].decode(), "")
        if reason == b"sealed":
            raise BucketSealedError("a switch of generations is under way: run verify --repair again when it is over")
        if reason == b"moved":
            raise PositionMovedError(answer[1].decode(), int(answer[2]), int(answer[3]))

    def _base(self, bucket: int) -> str:
        return bucket_prefix(self._prefix, self.pointer.number, bucket)


def _refused(packed: bytes | None) -> StoredRefused | None:
    if packed is None:
        return None
    by_job, by_time = msgpack.unpackb(packed, unicode_errors="surrogateescape")
    return StoredRefused(_scores(by_job), _scores(by_time))


def _scores(held: Sequence[str] | str) -> Mapping[str, float] | str:
    if isinstance(held, str):
        return held
    return {entry: float(score) for entry, score in zip(held[::2], held[1::2], strict=True)}


def _pairs(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _flat(fields: Mapping[str, str]) -> list[str]:
    return [text for pair in fields.items() for text in pair]


def _packed(*values: object) -> bytes:
    packed: bytes = msgpack.packb(values, use_bin_type=False, unicode_errors="surrogateescape")
    return packed

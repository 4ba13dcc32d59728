"""The jobs of a generation, and the refused events that name one, read some at a time while it is written."""

from collections.abc import AsyncIterator, Sequence
from typing import Final, cast

from projector.fold.job import FoldedJob
from projector.fold.stored_job import job_of
from projector.store.calls import Script, limited
from projector.store.keys import keys_by_bucket
from schemas.job_hash import fields_in
from schemas.redis_layout import JOB, REFUSED, Pointer, bucket_prefix
from schemas.refused_event import RefusedEvent
from service.errors import CommandError
from service.redis import AnyRedis

MAX_READ_BYTES: Final = 1024 * 1024
# A generation of an earlier fold, from which a rebuild may carry jobs over, has registers as they are.
COMPACT_SINCE: Final = 2
# Joined in one step: some milliseconds of Redis' time.
REFUSED_AT_ONCE: Final = 500
_SORTED_SET: Final = b"zset"
_JOB: Final = JOB.encode()

# Identity and registers by their names, and the job that they make.
StoredJob = tuple[dict[str, str], FoldedJob]


async def stored_jobs(redis: AnyRedis, prefix: str, pointer: Pointer, so: str) -> AsyncIterator[list[StoredJob]]:
    """Yield the jobs; one that is written meanwhile as it was before or is after that.

    Raises CommandError for a key that holds no job; `so` says what cannot be done then, and what helps.
    """
    read_jobs = Script(redis, "replay/read_jobs")
    async for _, keys in keys_by_bucket(redis, prefix, pointer, JOB):
        while keys:
            answer = await read_jobs(keys, [str(MAX_READ_BYTES)])
            if answer[0] != b"read":
                raise _damaged(answer[1], so)
            hashes = answer[1:]
            yield [
                _stored(key, flat, so, pointer.fold_version) for key, flat in zip(keys, hashes, strict=False) if flat
            ]
            keys = keys[len(hashes) :]  # noqa: PLW2901 - what is left of them


async def stored_refused(redis: AnyRedis, prefix: str, pointer: Pointer) -> AsyncIterator[list[RefusedEvent]]:
    """Yield the refused events that each bucket remembers; what is none is left out, for `verify` mends it."""
    for bucket in range(pointer.buckets):
        key = bucket_prefix(prefix, pointer.number, bucket) + REFUSED
        async with limited():
            is_there = await redis.type(key) == _SORTED_SET
            entries = cast("list[bytes]", await redis.zrange(key, 0, -1)) if is_there else []
        for start in range(0, len(entries), REFUSED_AT_ONCE):
            yield [event for entry in entries[start : start + REFUSED_AT_ONCE] if (event := _refused(entry))]


def _refused(entry: bytes) -> RefusedEvent | None:
    try:
        return RefusedEvent.of(entry.decode())
    except ValueError:
        return None


def _stored(key: bytes, flat: Sequence[bytes], so: str, fold_version: int) -> StoredJob:
    try:
        stored = {name.decode(): value.decode() for name, value in zip(flat[::2], flat[1::2], strict=True)}
        fields = stored if fold_version < COMPACT_SINCE else fields_in(stored)
        return fields, job_of(fields, key.rpartition(_JOB)[2])
    except ValueError as error:
        raise _damaged(key, so) from error


def _damaged(key: bytes, so: str) -> CommandError:
    return CommandError(f"the key {key.decode(errors='backslashreplace')} holds no job, so {so}")

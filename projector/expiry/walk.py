"""Jobs without news since a cutoff: counting those of a generation, or letting them go, in steps of milliseconds."""

from collections.abc import AsyncGenerator, Sequence
from enum import Enum
from typing import Any, Final, NamedTuple

import msgpack

from projector.errors import BucketMissingError, BucketSealedError
from projector.operating.progress import Show, silent
from projector.store.calls import Script
from projector.store.keys import keys_by_bucket
from schemas.event_time import unix_seconds
from schemas.job_event import DETAIL_NAMES
from schemas.lifecycle import STAGE_NAMES
from schemas.redis_layout import (
    CHANGES,
    FLOOR,
    HEARTBEATS,
    IDENTITY_FIELDS,
    INDEXES,
    JOB,
    META,
    NEWS,
    POSITIONS,
    REFUSED,
    REFUSED_TIMES,
    SIFT,
    Pointer,
    bucket_prefix,
)
from schemas.registers import DETAIL_TIME, STAGE_TIME
from service.redis import AnyRedis

JOBS_PER_STEP: Final = 100
# What one step reads of them at most, but for one more job: some are a thousand times as large as others.
STEP_BYTES: Final = 512 * 1024

_NAMES: Final = (IDENTITY_FIELDS, INDEXES, STAGE_NAMES, (*DETAIL_NAMES, NEWS), JOB, FLOOR, SIFT)
_KEYS: Final = (META, POSITIONS, HEARTBEATS, REFUSED, REFUSED_TIMES, CHANGES)
# Lua counts from 1, and to the last one.
_PLACES: Final = tuple(place for time in (STAGE_TIME, DETAIL_TIME) for place in ((time.start or 0) + 1, time.stop))


class Mode(Enum):
    """What becomes of the old jobs.

    COLLECT lets them go once their bucket has caught up with the log, MAKE_ROOM once it has what was shown before.
    """

    COUNT = "count"
    COLLECT = "collect"
    MAKE_ROOM = "make room"


class Gone(NamedTuple):
    """Who a job was that went."""

    owner: str
    agreement_id: str
    job_id: str


class Step(NamedTuple):
    """How many jobs were looked at, how many of these are too old, and who went."""

    jobs: int
    old: int
    went: tuple[Gone, ...] = ()


class OldJobs:
    """The old jobs of one generation."""

    def __init__(self, redis: AnyRedis, prefix: str, pointer: Pointer) -> None:
        self._redis = redis
        self._prefix = prefix
        self._pointer = pointer
        self._collect = Script(redis, "collect")

    async def steps(self, cutoff: str, mode: Mode) -> AsyncGenerator[Step | None, None]:
        """Walk through all jobs, a step at a time; None where a bucket has to catch up before the same step again.

        A job that comes while it walks may be missed, and one may be counted twice. Raises BucketMissingError,
        BucketSealedError and StoreUnavailableError.
        """
        async for bucket, keys in keys_by_bucket(self._redis, self._prefix, self._pointer, JOB):
            while keys:
                step, done = await self._step(bucket, cutoff, mode, keys[:JOBS_PER_STEP])
                yield step
                keys = keys[done:]  # noqa: PLW2901 - what is left of them

    async def _step(self, bucket: int, cutoff: str, mode: Mode, keys: Sequence[bytes]) -> tuple[Step | None, int]:
        """Return what was found, and how many of the keys are done with."""
        base = bucket_prefix(self._prefix, self._pointer.number, bucket)
        incarnation, before = self._pointer.incarnations[bucket], str(unix_seconds(cutoff) * 1000)
        argument = (base, incarnation, cutoff, mode.value, keys, _NAMES, _PLACES, STEP_BYTES, before)
        # Lua knows strings, not text: without bin types both arrive as strings.
        packed: bytes = msgpack.packb(argument, use_bin_type=False)
        answer: Sequence[Any] = await self._collect([base + name for name in _KEYS], [packed])
        if answer[0] == b"missing":
            raise BucketMissingError("the bucket is gone or was replaced")
        if answer[0] == b"sealed":
            raise BucketSealedError("a switch of generations is under way")
        return (None, 0) if answer[0] == b"behind" else (Step(answer[1], answer[2], _gone(answer[4])), answer[3])


def _gone(flat: Sequence[bytes]) -> tuple[Gone, ...]:
    texts = iter(value.decode(errors="replace") for value in flat)
    return tuple(map(Gone, texts, texts, texts))


async def count_all(redis: AnyRedis, prefix: str, pointer: Pointer, cutoff: str, show: Show = silent) -> Step:
    """Return how many jobs a generation has, and how many of these are too old; raises as `steps` does.

    How many there will be is not known before, so that only how many were looked at is shown.
    """
    jobs = old = 0
    async for step in OldJobs(redis, prefix, pointer).steps(cutoff, Mode.COUNT):
        if step:
            jobs, old = jobs + step.jobs, old + step.old
            show({"jobs": jobs}, {})
    return Step(jobs, old)

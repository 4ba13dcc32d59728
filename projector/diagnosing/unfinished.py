"""The unfinished jobs of a generation, each as a case: read in steps of milliseconds, with where its bucket stood."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final

import msgpack

from projector.errors import BucketMissingError
from projector.store.calls import Script, understood
from projector.store.keys import keys_by_bucket
from schemas.diagnosis.case import Case, Letter
from schemas.diagnosis.history import history_of
from schemas.diagnosis.limits import Limits
from schemas.diagnosis.part import part_of
from schemas.event_time import sortable_timestamp
from schemas.expiry import is_expired
from schemas.lifecycle import FINISHED
from schemas.redis_layout import (
    HEARTBEATS,
    JOB,
    META,
    POSITIONS,
    REFUSED,
    STORED_FIELDS,
    Heartbeat,
    Pointer,
    bucket_prefix,
    number_in,
)
from schemas.refused_event import letters_in
from schemas.stored_job import check_stored
from service.redis import AnyRedis

JOBS_PER_STEP: Final = 200
# What one step reads of them at most, but for one more job.
STEP_BYTES: Final = 256 * 1024

_KEYS: Final = (META, POSITIONS, HEARTBEATS, REFUSED)


class UnfinishedJobs:
    """The jobs of one generation that have not finished."""

    def __init__(self, redis: AnyRedis, prefix: str, pointer: Pointer, limits: Limits) -> None:
        self._redis = redis
        self._prefix = prefix
        self._pointer = pointer
        self._limits = limits
        self._read = Script(redis, "diagnosing/read_unfinished")

    async def steps(self, cutoff: str) -> AsyncGenerator[list[Case], None]:
        """Walk through all jobs, and yield in steps those that have not finished and have news since the cutoff.

        A job that comes while it walks may be missed, and one may come twice. What is damaged is no case. Raises
        BucketMissingError and StoreUnavailableError.
        """
        async for bucket, keys in keys_by_bucket(self._redis, self._prefix, self._pointer, JOB):
            while keys:
                cases, done = await self._step(bucket, cutoff, keys[:JOBS_PER_STEP])
                yield cases
                keys = keys[done:]  # noqa: PLW2901 - what is left of them

    async def _step(self, bucket: int, cutoff: str, keys: Sequence[bytes]) -> tuple[list[Case], int]:
        """Return the cases that were found, and how many of the keys are done with."""
        base = bucket_prefix(self._prefix, self._pointer.number, bucket)
        incarnation = self._pointer.incarnations[bucket]
        argument = (base, incarnation, keys, STORED_FIELDS, FINISHED.name, JOB, STEP_BYTES)
        # Lua knows strings, not text: without bin types both arrive as strings.
        packed: bytes = msgpack.packb(argument, use_bin_type=False)
        answer: Sequence[Any] = await self._read([base + name for name in _KEYS], [packed])
        if answer[0] == b"missing":
            raise BucketMissingError("the bucket is gone or was replaced")
        _, now, positions, heartbeats, done, rows = answer
        with understood():
            moment = _Moment(int(now), positions, heartbeats, self._limits)
        cases = [case for row in rows if not is_expired(row, cutoff.encode()) and (case := moment.case(row))]
        return cases, done


class _Moment:
    """Where a bucket stood when jobs of it were read."""

    def __init__(self, milliseconds: int, positions: Sequence[bytes], beats: Sequence[bytes], limits: Limits) -> None:
        self._milliseconds = milliseconds
        self._positions = {name: number_in(at) for name, at in zip(positions[::2], positions[1::2], strict=True)}
        self._heartbeats = {name: Heartbeat.of(beat) for name, beat in zip(beats[::2], beats[1::2], strict=True)}
        self._limits = limits

    def case(self, row: list[bytes | None]) -> Case | None:
        """Return what is known of a job; None when it is none."""
        *job, refused = row
        try:
            check_stored(job)
        except ValueError:
            return None
        history = history_of(job)
        if history is None:
            return None
        part = part_of(history.partitions, self._positions, self._heartbeats, self._milliseconds)
        return Case(history, sortable_timestamp(self._milliseconds), part, _letters(refused), self._limits)


def _letters(lines: bytes | None) -> list[Letter] | None:
    try:
        return [] if lines is None else letters_in(lines)
    except ValueError:
        return None

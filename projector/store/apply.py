"""The one step in which jobs change and positions move: all of it in a bucket, or nothing (see lua/apply.lua)."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, Final

import msgspec
import structlog

from projector.errors import BatchTooLargeError, DamagedKeyError, PositionMovedError
from projector.fold.batch import Batch, Span
from projector.fold.job import FoldedJob
from projector.store.buckets import Buckets
from projector.store.calls import Script, check, let_calls_go_on, understood
from projector.store.sifting import Sifts
from schemas.event_time import unix_seconds
from schemas.expiry import has_news_since
from schemas.identity import bucket_of, job_member
from schemas.job_event import DETAIL_NAMES
from schemas.job_hash import URL_DETAILS, details_in_hash, stages_in_hash
from schemas.lifecycle import STAGE_NAMES, STAGES
from schemas.redis_layout import (
    CARRIED,
    CHANGES,
    FINGERPRINT,
    IDENTITY_FIELDS,
    INDEXES,
    JOB,
    LEDGER,
    META,
    NEWS,
    POSITIONS,
    REFUSED,
    REFUSED_TIMES,
    SIFT,
    Sift,
    number_in,
    score_of,
)
from schemas.refused_event import MAX_REFUSED, MAX_REFUSED_OF_BUCKET, RefusedEvent
from schemas.registers import STAGE_TIME
from service.redis import AnyRedis

# What lua/jobs/job_hash.lua must know of registers.
_RULES: Final = {
    "stages": STAGE_NAMES,
    "details": DETAIL_NAMES,
    "others": (NEWS, CARRIED),
    "urls": dict.fromkeys(URL_DETAILS, True),
    "code_of": {stage.name: f"{stage.code:02d}" for stage in STAGES},
    "stage_of": {f"{stage.code:02d}": stage.name for stage in STAGES},
    "news": NEWS,
    "time": STAGE_TIME.stop,
}
_NAMES: Final = msgspec.Raw(
    msgspec.msgpack.encode((IDENTITY_FIELDS[0], INDEXES, LEDGER, FINGERPRINT, JOB, SIFT, _RULES))
)

_encode: Final = msgspec.msgpack.Encoder().encode
# So many are encoded without a pause, in a millisecond or two.
_ENCODED_JOBS: Final = 100
_OWNER, _AGREEMENT_ID, _JOB_ID, _ATTEMPT = IDENTITY_FIELDS

_log = structlog.get_logger(__name__)

# A job in the form that the script takes: what lua/apply.lua says of one.
EncodedJob = list[object]


class ApplyStep:
    """Joins jobs into a bucket and moves its positions."""

    def __init__(self, redis: AnyRedis, buckets: Buckets) -> None:
        self._buckets = buckets
        self._apply = Script(redis, "apply")

    def pack(
        self,
        bucket: int,
        jobs: Sequence[EncodedJob],
        spans: Mapping[int, Span],
        sift: Sift | None = None,
        refused: Sequence[RefusedEvent] = (),
    ) -> bytes:
        """Return what is sent to apply these jobs of a batch and its spans, by their index in it.

        When the bucket is sifted, a job is made only by news. Of refused events the newest are remembered.
        """
        incarnation = self._buckets.pointer.incarnations[bucket]
        base = self._buckets.base(bucket)
        return _pack(base, incarnation, spans, jobs, sift, refused=refused, is_first=bucket == 0)

    async def __call__(self, bucket: int, packed: bytes, spans: Mapping[int, Span]) -> int:
        """Apply what was packed, with these spans; return how many jobs changed.

        Raises PositionMovedError, BucketMissingError, BucketSealedError, DamagedKeyError or BatchTooLargeError, and
        then nothing was written; another StoreUnavailableError, and then the outcome is unknown.
        """
        return self._changed(bucket, await self._apply(self._keys(bucket), [packed]), spans)

    async def add(self, bucket: int, packed: Sequence[bytes]) -> int:
        """Apply what was packed without spans, one after the other; return how many jobs changed.

        Raises what a step raises, and then any of them may have been applied.
        """
        answers = await self._apply.run_each(self._keys(bucket), [[one] for one in packed])
        return sum([self._changed(bucket, answer, {}) for answer in answers])

    def _keys(self, bucket: int) -> list[str]:
        return self._buckets.keys(bucket, META, POSITIONS, REFUSED, REFUSED_TIMES, CHANGES)

    def _changed(self, bucket: int, answer: Sequence[Any], spans: Mapping[int, Span]) -> int:
        """Return how many jobs changed as the script answers; raises what that says otherwise."""
        if answer[0] == b"moved":
            raise _moved(answer, spans)
        if answer[0] == b"damaged":
            raise DamagedKeyError(answer[1].decode(), answer[2].decode())
        if answer[0] == b"large":
            raise BatchTooLargeError
        check(answer)
        changed: int = answer[1]
        if answer[2]:
            _log.error("removed, for it was damaged", key=self._buckets.base(bucket) + CHANGES)
        return changed


def _moved(answer: Sequence[Any], spans: Mapping[int, Span]) -> PositionMovedError:
    with understood():
        partition, stored = answer[1].decode(), number_in(answer[2])
    expected = next(span.start for span in spans.values() if span.partition == partition)
    return PositionMovedError(partition, expected, stored)


async def encode(batch: Batch, buckets: int, sifts: Sifts) -> list[list[EncodedJob]]:
    """Return for each bucket its jobs; calls to Redis go on meanwhile."""
    encoded: list[list[EncodedJob]] = [[] for _ in range(buckets)]
    for number, known in enumerate(batch.jobs, 1):
        if number % _ENCODED_JOBS == 0:
            await let_calls_go_on()
        member = job_member(known.job.identity)
        bucket = bucket_of(member, buckets)
        encoded[bucket].append(encode_job(member, known.job, known.events, sifts.get(bucket)))
    return encoded


def remembered(batch: Batch, buckets: int, sifts: Sifts) -> list[list[RefusedEvent]]:
    """Return for each bucket the refused events that name a job of it; one that is sifted takes no old ones."""
    events: list[list[RefusedEvent]] = [[] for _ in range(buckets)]
    for refused in batch.refused:
        event = refused.remembered
        if event is None:
            continue
        bucket = bucket_of(event.member, buckets)
        sift = sifts.get(bucket)
        if sift is None or event.letter.time >= sift.cutoff:
            events[bucket].append(event)
    return events


def encode_job(member: str, job: FoldedJob, events: Mapping[int, int], sift: Sift | None = None) -> EncodedJob:
    """Return one job; `events` has how many the ledger counts, by the index of their span.

    One without news is not made in a bucket that is sifted.
    """
    owner, agreement_id, job_id, attempt = job.identity
    stages = stages_in_hash(job.stages)
    details = details_in_hash(job.details, job.stages, job_id)
    return [
        member,
        str(score_of(unix_seconds(job.created))),
        (len(stages) + len(details)) // 2,  # names, each before its value
        len(stages) // 2,
        2 * len(events),
        sift is None or has_news_since(sift.cutoff, job.stages.values(), job.details.values()),
        _OWNER,
        owner,
        _AGREEMENT_ID,
        agreement_id,
        _JOB_ID,
        job_id,
        _ATTEMPT,
        str(attempt),
        *stages,
        *details,
        *chain.from_iterable(events.items()),
    ]


def _pack(
    base: str,
    incarnation: str,
    spans: Mapping[int, Span],
    jobs: Sequence[EncodedJob],
    sift: Sift | None,
    *,
    refused: Sequence[RefusedEvent],
    is_first: bool,
) -> bytes:
    """Return the argument of the script for one bucket.

    Records that belong to no job (dead letters, offsets without a record) are counted in the first bucket only, so
    that the ledgers of all buckets add up.
    """
    partitions = [
        (
            span.partition,
            str(span.start),
            str(span.next),
            span.fingerprint,
            span.dead_letters if is_first else 0,
            span.no_record if is_first else 0,
            index,
        )
        for index, span in spans.items()
    ]
    entries = [text for event in refused for text in (event.member, str(event.milliseconds), event.entry)]
    stored_sift = sift.stored if sift else ""
    argument = (
        base,
        incarnation,
        partitions,
        list(chain.from_iterable(jobs)),
        _NAMES,
        stored_sift,
        entries,
        (MAX_REFUSED, MAX_REFUSED_OF_BUCKET),
    )
    return _encode(argument)

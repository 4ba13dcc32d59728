"""Writes a projection into Redis as the projector does in production, by `schemas.redis_layout`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from schemas.event_time import sortable_time, unix_seconds
from schemas.identity import JobIdentity, bucket_of, job_member
from schemas.job_hash import hash_of
from schemas.lifecycle import STAGE_BY_NAME
from schemas.redis_layout import (
    FLOOR,
    FOLD_VERSION,
    HEARTBEATS,
    INCARNATION,
    INDEXES,
    JOB,
    META,
    POSITIONS,
    REFUSED,
    REFUSED_TIMES,
    Heartbeat,
    Pointer,
    bucket_prefix,
    pointer_key,
    score_of,
)
from schemas.refused_event import refused_event
from schemas.registers import detail_stamp, record_text, stage_register, value_text

TOPIC = "job-events"
PARTITION = f"{TOPIC}/0"
_BATCH = 2000
_PUT_ALIKE = """
local base, shared = ARGV[1], {unpack(ARGV, 6, 5 + ARGV[5])}
for i = 6 + ARGV[5], #ARGV, 2 do
  redis.call('HSET', base .. 'job:' .. ARGV[i], 'jobId', ARGV[i + 1], unpack(shared))
  for _, index in ipairs({'owner:' .. ARGV[2], 'agreement:' .. ARGV[3], 'jobid:' .. ARGV[i + 1]}) do
    redis.call('ZADD', base .. index, ARGV[4], ARGV[i])
  end
end
"""


@dataclass(frozen=True)
class Job:
    """A job to store: the time of each stage it reached, and its details."""

    owner: str = "0x1111"
    agreement_id: str = "0x2222"
    job_id: str = "3333"
    attempt: int = 1
    stages: Mapping[str, str] = field(default_factory=lambda: {"started": "2020-10-01T01:00:00Z"})
    details: Mapping[str, Any] = field(default_factory=dict)
    detail_time: str = "2020-10-01T01:00:00Z"
    delay_milliseconds: int | None = None

    @property
    def identity(self) -> JobIdentity:
        """Who the job is."""
        return JobIdentity(self.owner, self.agreement_id, self.job_id, self.attempt)

    @property
    def member(self) -> str:
        """Its name in keys and indexes."""
        return job_member(self.identity)

    @property
    def score(self) -> int:
        """Its place in every index."""
        return score_of(unix_seconds(min(sortable_time(time) for time in self.stages.values())))

    def _record(self, time: str) -> str:
        delay = self.delay_milliseconds
        return record_text(PARTITION, 7, time, -1 if delay is None else unix_seconds(time) * 1000 + delay)

    def fields(self) -> dict[str, str]:
        """Return its identity and registers by their names."""
        registers = {
            name: stage_register(sortable_time(time), "/workers/gpu-7", f"{name}-1", self._record(sortable_time(time)))
            for name, time in self.stages.items()
        }
        code = max(STAGE_BY_NAME[name].code for name in self.stages)
        stamp = detail_stamp(code, sortable_time(self.detail_time), "event-1")
        details = {name: stamp + value_text(value) for name, value in self.details.items()}
        identity = {
            "owner": self.owner,
            "agreementId": self.agreement_id,
            "jobId": self.job_id,
            "attempt": str(self.attempt),
        }
        return identity | registers | details


FINISHED_JOB = Job(
    stages={
        name: f"2020-10-01T01:0{minute}:00Z"
        for minute, name in enumerate(("started", "configuring", "running", "uploading", "finished"))
    },
    details={
        "configlogURL": "http://example.net/logs/config.log",
        "publishlogURL": "http://example.net/logs/publish.log",
        "algologURL": "http://example.net/logs/algo.log",
        "outputsURL": ["http://example.net/logs/output/0", "http://example.net/logs/output/1"],
    },
    detail_time="2020-10-01T01:04:00Z",
)


class Projection:
    """A projection under one prefix, as a projector would keep it."""

    def __init__(self, redis: Any, prefix: str, *, buckets: int = 1, generation: int = 1) -> None:
        self.redis = redis
        self.prefix = prefix
        self.buckets = buckets
        self.generation = generation
        self.incarnation = "first"

    def key(self, name: str, bucket: int = 0) -> str:
        """Return the full name of a key of a bucket."""
        return bucket_prefix(self.prefix, self.generation, bucket) + name

    async def begin(self, floors: Mapping[str, int] | None = None, *, fold_version: int = FOLD_VERSION) -> None:
        """Make the pointer and every bucket, empty; `floors` are the log's ends at that moment."""
        incarnations = tuple(self.incarnation for _ in range(self.buckets))
        pointer = Pointer(self.generation, self.buckets, fold_version, "cluster", TOPIC, incarnations)
        for bucket in range(self.buckets):
            meta: dict[Any, Any] = {INCARNATION: self.incarnation} | {
                FLOOR + name: str(at) for name, at in (floors or {}).items()
            }
            await self.redis.hset(self.key(META, bucket), mapping=meta)
        fields: dict[Any, Any] = dict(pointer.as_fields())
        await self.redis.hset(pointer_key(self.prefix), mapping=fields)

    async def put(self, jobs: Iterable[Job]) -> None:
        """Store jobs in their buckets and indexes."""
        remaining = iter(jobs)
        while batch := list(islice(remaining, _BATCH)):
            async with self.redis.pipeline(transaction=False) as pipeline:
                for job in batch:
                    self._put(pipeline, job)
                await pipeline.execute()

    def _put(self, pipeline: Any, job: Job) -> None:
        member, score, bucket = job.member, job.score, bucket_of(job.member, self.buckets)
        pipeline.hset(self.key(JOB + member, bucket), mapping=hash_of(job.fields()))
        identifiers: Sequence[str] = (job.owner, job.agreement_id, job.job_id)
        for index, identifier in zip(INDEXES, identifiers, strict=True):
            pipeline.zadd(self.key(index + identifier, bucket), {member: score})

    async def put_many_alike(self, job: Job, job_ids: Iterable[str]) -> None:
        """Store jobs that differ in nothing but their jobId; much faster than `put`, in a single bucket."""
        assert self.buckets == 1
        fields = hash_of(job.fields())
        del fields["jobId"]
        shared = [item for pair in fields.items() for item in pair]
        put = self.redis.register_script(_PUT_ALIKE)
        remaining = iter(job_ids)
        while batch := list(islice(remaining, _BATCH)):
            members = [job_member(job.identity._replace(job_id=job_id)) for job_id in batch]
            arguments = [self.key(""), job.owner, job.agreement_id, job.score, len(shared), *shared]
            await put([], [*arguments, *(item for pair in zip(members, batch, strict=True) for item in pair)])

    async def stand(self, positions: Mapping[str, int], ends: Mapping[str, int] | None = None, *, age: int = 0) -> None:
        """Store positions in every bucket, and heartbeats that are `age` milliseconds old."""
        seconds, microseconds = await self.redis.time()
        now = seconds * 1000 + microseconds // 1000
        for bucket in range(self.buckets):
            if positions:
                await self.redis.hset(self.key(POSITIONS, bucket), mapping={k: str(v) for k, v in positions.items()})
            for name, end in (ends or {}).items():
                await self.redis.hset(self.key(HEARTBEATS, bucket), name, f"{now - age} {end}")

    async def hold(self, partition: str, code: str, end: int | None) -> None:
        """Store heartbeats of now that say why a partition does not go on."""
        seconds, microseconds = await self.redis.time()
        heartbeat = Heartbeat(seconds * 1000 + microseconds // 1000, end, code)
        for bucket in range(self.buckets):
            await self.redis.hset(self.key(HEARTBEATS, bucket), partition, heartbeat.stored)

    async def refuse(self, job: Job, time: str, reason: str, offset: int = 9) -> None:
        """Store that an event which names a job was refused."""
        milliseconds = unix_seconds(sortable_time(time)) * 1000
        event = refused_event(job.member, milliseconds, f"{PARTITION}/{offset}", reason)
        bucket = bucket_of(job.member, self.buckets)
        await self.redis.zadd(self.key(REFUSED, bucket), {event.entry: 0})
        await self.redis.zadd(self.key(REFUSED_TIMES, bucket), {event.entry: milliseconds})

    async def delete(self) -> None:
        """Delete every key."""
        keys = [key async for key in self.redis.scan_iter(match=f"{self.prefix}:*", count=10_000)]
        for start in range(0, len(keys), _BATCH):
            await self.redis.unlink(*keys[start : start + _BATCH])


def numbered(count: int, *, seconds: int = 1, owner: str = "0x1111") -> list[Job]:
    """Return jobs that were created in so many different seconds."""
    times = [{"started": f"2020-10-01T01:00:{number % seconds:02d}Z"} for number in range(count)]
    return [Job(owner, job_id=f"job-{number}", stages=stages) for number, stages in enumerate(times)]


def names(jobs: list[dict[str, Any]]) -> list[str]:
    """Return what the jobs are called."""
    return [job["jobId"] for job in jobs]

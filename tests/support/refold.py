"""The log folded again by the second rule, to hold the stored projection against, byte for byte."""

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from projector.replay.verify.facts import Facts
from projector.replay.verify.stored_form import hash_of_facts, index_keys
from schemas.decode import RefusedEventError, decode
from schemas.event_time import unix_seconds
from schemas.expiry import has_news_since
from schemas.identity import JobIdentity, job_member
from schemas.job_event import DETAIL_NAMES
from schemas.lifecycle import STAGE_NAMES
from schemas.redis_layout import INDEXES, JOB, NEWS, bucket_prefix, partition_name, score_of
from schemas.registers import is_short, record_text
from tests.support.deployment import Deployment

if TYPE_CHECKING:
    from collections.abc import Iterator

# Key without its prefix -> what it holds.
Content = dict[str, dict[str, Any]]


def refold(deployment: Deployment) -> Content:
    """Return what Redis must hold of jobs and indexes, from the log alone."""
    jobs: dict[JobIdentity, Facts] = {}
    for record in deployment.records(deployment.topic):
        try:
            event = decode(record.value, record.headers, record.timestamp)
        except RefusedEventError:
            continue
        job = jobs.setdefault(event.identity, Facts(event.identity))
        job.report(
            event,
            record_text(partition_name(record.topic, record.partition), record.offset, event.time, record.timestamp),
        )
    return content_of(jobs)


def content_of(jobs: Mapping[JobIdentity, Facts]) -> Content:
    """Return what Redis must hold of these jobs and of nothing else."""
    content: Content = defaultdict(dict)
    for identity, job in jobs.items():
        member = job_member(identity)
        content[JOB + member] = hash_of_facts(job.kept)
        for key in index_keys(identity):
            content[key][member] = score_of(unix_seconds(job.kept.created))
    return dict(content)


def stored(deployment: Deployment, bucket: int = 0) -> Content:
    """Return what a bucket holds of jobs and indexes."""
    base = bucket_prefix(deployment.prefix, deployment.generation, bucket)
    keys: Iterator[bytes] = deployment.redis.scan_iter(match=base.replace("{", "[{]") + "*", count=10_000)
    names = [name for key in keys if (name := key.decode().removeprefix(base)).startswith((JOB, *INDEXES))]
    asked = deployment.redis.pipeline(transaction=False)  # a call for each would cost more than all the rest
    for name in names:
        if name.startswith(JOB):
            asked.hgetall(base + name)
        else:
            asked.zrange(base + name, 0, -1, withscores=True)
    return {name: _as_text(held) for name, held in zip(names, asked.execute(), strict=True)}


def _as_text(held: dict[bytes, bytes] | list[tuple[bytes, float]]) -> dict[str, Any]:
    if isinstance(held, dict):
        return {field.decode(): value.decode() for field, value in held.items()}
    return {member.decode(): int(score) for member, score in held}


def has_news(fields: Mapping[str, str], cutoff: str) -> bool:
    """Tell whether a job has news by its hash, where a detail without a time of its own is as old as its stage."""
    details = [text for name in (*DETAIL_NAMES, NEWS) if (text := fields.get(name)) and not is_short(text)]
    return has_news_since(cutoff, map(fields.get, STAGE_NAMES), details)


def assert_right(deployment: Deployment) -> None:
    """Hold the stored projection against the log, byte for byte, once it has caught up."""
    deployment.wait_until_applied()
    assert stored(deployment) == refold(deployment)

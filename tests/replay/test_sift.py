"""What has no news since the cutoff is kept out of whatever is filled anew, so that it needs no room."""

import asyncio
import json
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from devstack import Redis
from schemas.gone_job import gone_keys
from schemas.redis_layout import CARRIED, JOB, META, SIFT, Sift, bucket_prefix
from tests.support.deployment import Deployment, Message, get, wait_for
from tests.support.events import event
from tests.support.refold import Content, has_news, refold, stored
from tests.support.services import Services
from tests.support.topics import delete_records

CUTOFF = "2020-10-01T01:00:30.000000"
BEFORE = "2020-10-01T01:00:30Z"
JOBS = 300
STATUS = "/api/v1/operator/status?owner=0x1111"


def message(value: Mapping[str, Any]) -> Message:
    """Return the record of an event."""
    return value["data"]["jobId"].encode(), json.dumps(value).encode(), []


def messages(jobs: int, size: int = 0) -> Iterator[Message]:
    """Yield events of jobs that all began before the cutoff; every third one has news, long after its first event."""
    text = {"message": "x" * size} if size else {}
    for stage, second in (("started", 0), ("running", 10)):
        for number in range(jobs):
            job = f"job-{number}"
            yield message(event(stage, time=f"2020-10-01T01:00:{second:02d}Z", job=job, event_id=stage, **text))
    for number in range(0, jobs, 3):
        yield message(event("finished", time="2020-10-01T01:00:40Z", job=f"job-{number}", event_id="finished"))


def surviving(content: Content) -> Content:
    """Return the jobs that have news."""
    return {name: fields for name, fields in content.items() if name.startswith(JOB) and has_news(fields, CUTOFF)}


def jobs_in(deployment: Deployment, bucket: int = 0) -> Content:
    """Return the jobs that a bucket of the live generation holds."""
    return {name: fields for name, fields in stored(deployment, bucket).items() if name.startswith(JOB)}


def is_sifted(deployment: Deployment, generation: int = 1) -> bool:
    """Tell whether a generation is being sifted."""
    return bool(deployment.redis.hexists(bucket_prefix(deployment.prefix, generation, 0) + META, SIFT))


def test_a_rebuild_never_stores_what_is_old(deployment: Deployment) -> None:
    """Without anybody who collects, a new generation has the jobs with news, each with all its events, alone."""
    deployment.publish(messages(JOBS))
    projector = deployment.start_projector()
    deployment.wait_until_applied()
    deployment.command("projector", "expire", "--before", BEFORE)
    deployment.stop(projector)
    expected = surviving(refold(deployment))
    assert len(expected) == JOBS / 3
    deployment.command("projector", "rebuild", "--check", "--buckets", "2")
    assert jobs_in(deployment, 0) | jobs_in(deployment, 1) == expected
    assert not is_sifted(deployment, 2)
    deployment.start_projector()
    deployment.publish_event(event("started", job="new", time="2020-10-01T01:00:50Z"), 0)
    deployment.wait_until_applied()
    deployment.command("projector", "verify")
    assert "live" in deployment.command("projector", "rebuild", "--processes", "2")
    assert len(jobs_in(deployment)) + len(jobs_in(deployment, 1)) == JOBS / 3 + 1


async def test_where_the_log_lost_its_beginning(deployment: Deployment) -> None:
    """Both rounds begin where the log does, and what is carried over is not old either."""
    await deployment.write(messages(JOBS), 0)
    projector = deployment.start_projector()
    await asyncio.to_thread(deployment.wait_until_applied)
    expected = await asyncio.to_thread(jobs_in, deployment)
    deployment.command("projector", "expire", "--before", BEFORE)
    deployment.stop(projector)
    await delete_records(deployment, 0, JOBS // 2)
    assert "jobs carried over" in deployment.command("projector", "rebuild", "--carry-over")
    kept = await asyncio.to_thread(jobs_in, deployment)
    assert sum(fields.pop(CARRIED, "") == "g1" for fields in kept.values()) == JOBS / 6
    assert kept == surviving(expected)


def test_an_emptied_redis_is_filled_without_what_is_old(deployment: Deployment) -> None:
    """Running projectors remember the cutoff; readers see 503 until it is whole, and then the jobs with news alone."""
    deployment.publish(messages(JOBS))
    deployment.start_projector()
    deployment.start_projector()
    deployment.wait_until_applied()
    api = deployment.start_api()
    deployment.command("projector", "expire", "--before", BEFORE)
    expected = surviving(refold(deployment))
    wait_for(lambda: jobs_in(deployment) == expected, "old jobs are collected")
    deployment.forget()
    seen = []

    def answer() -> bool:
        status, _, body = get(api, STATUS)
        seen.append((status, len(body)))
        return status == 200

    wait_for(deployment.positions, "it is begun")
    wait_for(answer, "it is whole")
    assert {found for found in seen if found[0] == 200} == {(200, JOBS // 3)}
    assert jobs_in(deployment) == expected
    wait_for(lambda: not is_sifted(deployment), "it is not sifted any more")
    deployment.command("projector", "verify")


@pytest.mark.long(20)
def test_a_redis_that_is_full_of_what_is_old_recovers(services: Services, tmp_path: Path) -> None:
    """It is filled up before it has caught up; once a cutoff is given, which can be given then too, all goes on."""
    limits = {"maxmemory": "6mb", "maxmemory-policy": "noeviction"}
    with Redis(tmp_path / "redis", settings=limits) as redis:
        own = Services(services.kafka_bootstrap_servers, redis.url, services.source)
        with Deployment(own, f"full-{uuid.uuid4().hex[:12]}", tmp_path) as deployment:
            deployment.publish(messages(5000, size=900))
            deployment.start_projector()
            wait_for(lambda: "used memory > 'maxmemory'" in deployment.logs(), "Redis is full")
            deployment.command("projector", "expire", "--before", BEFORE)
            deployment.wait_until_applied()
            expected = surviving(refold(deployment))
            wait_for(
                lambda: not is_sifted(deployment) and jobs_in(deployment) == expected, "all that has news is there"
            )
            assert not deployment.redis.exists(*gone_keys(deployment.prefix))  # what made room takes none
            deployment.command("projector", "verify")


@pytest.mark.long(15)
def test_what_is_expired_makes_room_for_new_events(services: Services, tmp_path: Path) -> None:
    """A Redis that was filled up by jobs which may go now takes new events again, though it has fallen behind."""
    with Redis(tmp_path / "redis", settings={"maxmemory-policy": "noeviction"}) as redis:
        own = Services(services.kafka_bootstrap_servers, redis.url, services.source)
        with Deployment(own, f"grown-{uuid.uuid4().hex[:12]}", tmp_path) as deployment:
            deployment.publish(messages(3000, size=900))
            deployment.start_projector()
            deployment.wait_until_applied()
            api = deployment.start_api()
            used = cast("dict[str, int]", deployment.redis.info("memory"))["used_memory"]
            deployment.redis.config_set("maxmemory", used * 9 // 10)  # also once buffers are smaller than now
            for number in range(3):
                deployment.publish_event(event(job=f"new-{number}", time="2020-10-01T01:00:50Z"), 0)
            wait_for(lambda: "used memory > 'maxmemory'" in deployment.logs(), "Redis is full")
            deployment.command("projector", "expire", "--before", BEFORE)
            deployment.wait_until_applied()
            assert not is_sifted(deployment)
            assert get(api, f"{STATUS}&jobId=new-2")[0] == 200
            expected = surviving(refold(deployment))
            wait_for(lambda: jobs_in(deployment) == expected, "old jobs are gone")


def test_what_is_sifted_says_so() -> None:
    """The text in Redis is read back, leads to the next round and to an end, and is refused when it is damaged."""
    first = Sift(1, CUTOFF)
    assert Sift.of(first.stored.encode()) == first
    assert first.next == Sift(2, CUTOFF)
    assert Sift(2, CUTOFF).next is None
    for damaged in (b"", b"3 " + CUTOFF.encode(), b"1 yesterday"):
        with pytest.raises(ValueError, match="no round"):
            Sift.of(damaged)

"""Why a job is where it is, each time for a real reason: real workers, Kafka, projector, Redis and API."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.identity import JobIdentity, job_member
from schemas.redis_layout import JOB, bucket_prefix
from tests.support.deployment import Deployment, get, wait_for
from tests.support.events import event

TIMELINE = "/api/v1/operator/status/timeline"
TOKEN = "let-me-see-and-all-the-rest"  # noqa: S105 - nothing is protected by it
# A worker that is silent for two seconds is dead here; none of the other limits is reached.
LIMITS = "silent=2s"
# Of the one partition that the test uses.
PARTITION = 0
WORKER = """
import os, signal, sys
from operator_status import JobReporter
job = JobReporter(owner="0x1111", agreement_id="0x2222", job_id="killed").__enter__()
job.started().result()
job.running().result()
print("running", flush=True)
signal.pause()
"""


def now(**shift: float) -> str:
    """Return a time so far from now, as workers write it."""
    return (datetime.now(UTC) + timedelta(**shift)).isoformat().replace("+00:00", "Z")


class Scene:
    """A running system, and what it says of jobs."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.projector = deployment.start_projector(STAGE_LIMITS=LIMITS)
        self.address = deployment.start_api(STAGE_LIMITS=LIMITS, API_ADMIN_TOKENS=TOKEN)

    def report(self, *events: dict[str, Any]) -> None:
        """Write events into the one partition."""
        for one in events:
            self.deployment.publish_event(one, PARTITION)

    def diagnosis(self, job: str) -> list[dict[str, Any]]:
        """Return why a job is where it is; nothing while nobody knows it."""
        status, _, found = get(self.address, f"{TIMELINE}?jobId={job}", Authorization=f"Bearer {TOKEN}")
        return found[0]["diagnosis"] if status == 200 else []

    def wait_for(self, job: str, code: str) -> dict[str, Any]:
        """Return the diagnosis of a job of this code, once it is made."""

        def found() -> list[dict[str, Any]]:
            return [one for one in self.diagnosis(job) if one["code"] == code]

        one: dict[str, Any] = wait_for(found, f"{job} is said to be {code}, not {self.diagnosis(job)}")[0]
        return one


@pytest.fixture
def scene(deployment: Deployment) -> Scene:
    """A running system."""
    return Scene(deployment)


def killed_worker(environment: dict[str, str]) -> None:
    """Have a worker report that its job runs, and kill it."""
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER], env=os.environ | environment, stdout=subprocess.PIPE, text=True
    )
    assert worker.stdout
    assert worker.stdout.readline() == "running\n"
    worker.stdout.close()
    worker.send_signal(signal.SIGKILL)
    worker.wait()


def test_each_real_reason_is_told(scene: Scene) -> None:
    """A killed worker, a refused event, a clock an hour off, a held partition, a stopped projector: each is named."""
    killed_worker(scene.deployment.environment)
    silent = scene.wait_for("killed", "WORKER:SILENT")
    assert silent["hint"].startswith("The worker ")
    assert silent["evidence"]["stage"] == "running"

    scene.report(event("running", job="refused", time=now(days=3)))  # before anybody knows the job
    scene.report(event("started", job="refused", time=now()))
    refused = scene.wait_for("refused", "EVENTS:REFUSED")
    assert (refused["evidence"]["count"], refused["evidence"]["reasons"]) == (1, ["time-ahead"])

    scene.report(event("started", job="slow", time=now(hours=-1)))
    scene.report(event("started", job="fast", time=now(hours=1)))
    assert scene.wait_for("slow", "CLOCK:SKEWED")["evidence"]["late"] == ["started"]
    assert scene.wait_for("fast", "CLOCK:SKEWED")["evidence"]["ahead"] == ["started"]

    held_by(scene, ["refused"])
    stopped_by(scene, "refused")


def held_by(scene: Scene, jobs: Sequence[str]) -> None:
    """Have a partition held by a key of a wrong type, and the jobs that it reports told so."""
    deployment = scene.deployment
    member = job_member(JobIdentity("0x1111", "0x2222", "damaged", 1))
    deployment.redis.set(bucket_prefix(deployment.prefix, 1, 0) + JOB + member, "not ours")
    scene.report(event("started", job="damaged", time=now()))
    for job in jobs:
        held = scene.wait_for(job, "PROJECTION:HELD")
        assert (held["evidence"]["codes"], held["actor"]) == (["damaged-key"], "operator")
        assert "WORKER:SILENT" not in {one["code"] for one in scene.diagnosis(job)}
    deployment.redis.delete(bucket_prefix(deployment.prefix, 1, 0) + JOB + member)
    deployment.wait_until_applied()


def stopped_by(scene: Scene, job: str) -> None:
    """Have the projector killed, and a job that goes on told so; it says so no more when another one has started."""
    scene.projector.kill()
    stale = scene.wait_for(job, "PROJECTION:STALE")
    assert stale["hint"].startswith("Nobody has confirmed since ")
    scene.deployment.start_projector(STAGE_LIMITS=LIMITS)
    wait_for(lambda: "PROJECTION:STALE" not in {one["code"] for one in scene.diagnosis(job)}, "it is confirmed again")

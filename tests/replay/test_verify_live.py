"""Verify on what it meets in life: traffic, several buckets, ranges that are gone, jobs that expired."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest

from projector.errors import PositionMovedError
from projector.replay.verify.judgement import Mend
from projector.replay.verify.stored import Mends, StoredGeneration
from projector.settings import ProjectorSettings
from projector.store.catalog import Catalog
from schemas.redis_layout import CARRIED, CUTOFF, JOB, bucket_prefix, pointer_key
from service.redis import connect
from tests.support.deployment import Deployment, wait_for
from tests.support.events import event
from tests.support.refold import refold, stored
from tests.support.simulated import messages
from tests.support.topics import delete_records
from tests.support.verifying import assert_equal, verified

BUCKETS = 3
VERIFIES_UNDER_TRAFFIC = 3
EVENTS_UNDER_TRAFFIC = 3000
EVENTS_PER_SECOND, SOME_EVENTS_PER_SECOND = 800, 200
SOME_JOBS, MANY_JOBS = 20_000, 60_000
MORE_MIB = 15


@contextmanager
def traffic(deployment: Deployment, rate: int) -> Iterator[None]:
    """Publish so many events a second without end."""
    process = deployment.start("worker", "simulate", "--jobs", "0", "--rate", f"{rate}", "--pace", "1", "--seed", "7")
    ends = sum(deployment.log_ends().values())
    wait_for(lambda: sum(deployment.log_ends().values()) > ends + 100, "events arrive")
    try:
        yield
    finally:
        deployment.stop(process)


def test_no_false_alarm_while_events_arrive(deployment: Deployment) -> None:
    """While a projector applies thousands of events, verify finds nothing, again and again, and is not held up."""
    deployment.publish(messages(seed=1, jobs=300))
    deployment.start_projector()
    deployment.wait_until_applied()
    enough = sum(deployment.positions().values()) + EVENTS_UNDER_TRAFFIC
    verifies = 0
    with traffic(deployment, EVENTS_PER_SECOND):
        while verifies < VERIFIES_UNDER_TRAFFIC or sum(deployment.positions().values()) < enough:
            lines, findings = verified(deployment)
            assert lines == []
            assert findings.is_right
            verifies += 1


@pytest.mark.long(30)
def test_repair_while_events_arrive(deployment: Deployment) -> None:
    """Damage is mended while a projector writes, and what it writes meanwhile is not lost."""
    deployment.publish(messages(seed=1, jobs=300))
    deployment.start_projector()
    deployment.wait_until_applied()
    base = bucket_prefix(deployment.prefix, 1, 0)
    keys = sorted(key for key in refold(deployment) if key.startswith(JOB))[:60]
    with traffic(deployment, SOME_EVENTS_PER_SECOND):
        for key in keys[::3]:
            deployment.redis.delete(base + key)
        for key in keys[1::3]:
            deployment.redis.hset(base + key, "price", "7")
        for key in keys[2::3]:
            deployment.redis.hdel(base + key, "started")
        lines, findings = verified(deployment, repair=True)
    assert findings.is_right
    assert len(lines) == findings.mended == len(keys)
    deployment.wait_until_applied()
    assert_equal(deployment)


def test_nothing_is_mended_by_a_comparison_that_is_out_of_date(deployment: Deployment) -> None:
    """What was compared before an event was applied does not overwrite what that event changed."""
    deployment.publish_event(event(), 0)
    deployment.start_projector()
    deployment.wait_until_applied()
    before = stored(deployment)
    (key,) = (key for key in before if key.startswith(JOB))

    async def mend_too_late() -> None:
        settings = ProjectorSettings.load(deployment.environment, {})
        redis = connect(settings)
        try:
            pointer = (await Catalog(redis, settings.redis_prefix).read()).live
            assert pointer
            store = StoredGeneration(redis, settings.redis_prefix, pointer)
            moment = await store.read(0)
            await asyncio.to_thread(deployment.publish_event, event("running", event_id="e2"), 0)
            await asyncio.to_thread(deployment.wait_until_applied)
            mend = Mend(key.removeprefix(JOB).encode(), before[key], {}, [])
            with pytest.raises(PositionMovedError):
                await store.mend(0, moment, Mends(jobs=[mend]))
        finally:
            await redis.aclose()

    asyncio.run(mend_too_late())
    assert_equal(deployment)


def test_several_buckets(deployment: Deployment) -> None:
    """Each bucket is held against its own part of the log, its ledger too, and mended there."""
    deployment.publish(messages(seed=2, jobs=200))
    process = deployment.start_projector()
    deployment.wait_until_applied()
    deployment.command("projector", "rebuild", "--buckets", str(BUCKETS))
    deployment.stop(process)
    assert_equal(deployment, BUCKETS)
    bases = [bucket_prefix(deployment.prefix, deployment.generation, bucket) for bucket in range(BUCKETS)]
    name = f"{deployment.topic}/0"
    deployment.redis.hincrby(bases[1] + "positions", name + "#known", 1)
    key = next(key for key in stored(deployment, 1) if key.startswith(JOB))
    deployment.redis.rename(bases[1] + key, bases[2] + key)
    lines, findings = verified(deployment, repair=True)
    assert sum(findings.differences.values()) == findings.mended == len(lines)
    assert {"ledger", "missing job", "surplus job"} == {str(kind) for kind in findings.differences}
    assert any(line.startswith(f"{name} in bucket 1: ledger") for line in lines)
    assert_equal(deployment, BUCKETS)


def test_a_position_set_ahead(deployment: Deployment) -> None:
    """Events that were jumped over are found by their jobs and by the ledger, and repair folds them."""
    deployment.publish([(b"k", json.dumps(event(job=f"job-{number}")).encode(), []) for number in range(6)], 0)
    process = deployment.start_projector()
    deployment.wait_until_applied()
    deployment.stop(process)
    deployment.publish([(b"k", json.dumps(event("running", job="job-0", event_id="e2")).encode(), [])], 0)
    deployment.publish([(b"k", json.dumps(event(job="job-6")).encode(), [])], 0)
    deployment.redis.hset(bucket_prefix(deployment.prefix, 1, 0) + "positions", f"{deployment.topic}/0", "8")
    lines, findings = verified(deployment)
    assert {str(kind): count for kind, count in findings.differences.items()} == {
        "field": 1,
        "missing job": 1,
        "missing index entry": 3,
        "ledger": 1,
    }
    assert any("jobId=job-0" in line and "field running: stored nothing" in line for line in lines)
    assert verified(deployment, repair=True)[1].is_right
    assert_equal(deployment)
    deployment.start_projector()
    deployment.publish([(b"k", json.dumps(event(job="job-7")).encode(), [])], 0)
    wait_for(lambda: deployment.positions()["0"] == 9, "the projector goes on from there")
    assert_equal(deployment)


def test_ranges_passed_over_by_command(deployment: Deployment) -> None:
    """What was skipped is no difference: it is passed over in the same place."""
    deployment.publish([(b"k", json.dumps(event(job=f"job-{number}")).encode(), []) for number in range(6)], 0)
    deployment.publish([(b"k", b"rubbish", [])], 1)
    deployment.command("projector", "skip", "--partition", "0", "--to", "2")
    deployment.start_projector()
    deployment.wait_until_applied()
    lines, findings = verified(deployment)
    assert (lines, findings.jobs, findings.remarks) == ([], 4, [])


def test_what_the_log_has_lost_is_said_and_no_difference(deployment: Deployment) -> None:
    """Jobs whose events are gone from the log are counted, and what can be checked of them is."""
    for stage, job in (("started", "old"), ("started", "both"), ("running", "both"), ("started", "new")):
        deployment.publish_event(event(stage, job=job, event_id=stage), 0)
    process = deployment.start_projector()
    deployment.wait_until_applied()
    deployment.stop(process)
    asyncio.run(delete_records(deployment, 0, 2))
    lines, findings = verified(deployment)
    assert lines == []
    assert sum(findings.notes.values()) == 2
    assert f"{deployment.topic}/0: events 0 to 1 are gone from the log" in str(findings)
    base = bucket_prefix(deployment.prefix, 1, 0)
    (both,) = (key for key, held in stored(deployment).items() if held.get("jobId") == "both")
    (new,) = (key for key, held in stored(deployment).items() if held.get("jobId") == "new")
    deployment.redis.hdel(base + both, "running", "running:2")
    deployment.redis.delete(base + new)
    before = stored(deployment)
    lines, findings = verified(deployment, repair=True)
    assert len(lines) == 2
    assert findings.is_right
    after = stored(deployment)
    assert before[both].items() < after[both].items()
    assert new in after


def test_jobs_carried_over_by_a_rebuild(deployment: Deployment) -> None:
    """What a rebuild has taken from an older generation is no difference, before and after more events."""
    for stage, job in (("started", "old"), ("started", "both"), ("running", "both"), ("started", "new")):
        deployment.publish_event(event(stage, job=job, event_id=stage), 0)
    deployment.start_projector()
    deployment.wait_until_applied()
    asyncio.run(delete_records(deployment, 0, 2))
    deployment.command("projector", "rebuild", "--carry-over")
    deployment.publish_event(event("finished", job="old", event_id="late"), 0)
    deployment.wait_until_applied()
    lines, findings = verified(deployment)
    assert (lines, sum(findings.notes.values()), findings.remarks) == ([], 2, [])
    assert sum(CARRIED in held for held in stored(deployment).values()) == 2


def test_expired_jobs_may_be_there_or_not(deployment: Deployment) -> None:
    """Jobs without news since the cutoff may be there, gone, or back with less; others may not."""
    times = {"old": "2020-01-01T00:00:00Z", "gone": "2020-01-01T00:00:00Z", "new": "2020-03-01T00:00:00Z"}
    for job, moment in times.items():
        deployment.publish_event(event(job=job, time=moment), 0)
    deployment.publish_event(event(job="back", time=times["old"]), 0)
    process = deployment.start_projector()
    deployment.wait_until_applied()
    base = bucket_prefix(deployment.prefix, 1, 0)
    jobs = {held["jobId"]: key for key, held in stored(deployment).items() if "jobId" in held}
    for job in ("gone", "back"):
        deployment.redis.delete(base + jobs[job])
        member = jobs[job].removeprefix(JOB)
        for index in ("owner:0x1111", "agreement:0x2222", f"jobid:{job}"):
            deployment.redis.zrem(base + index, member)
    deployment.redis.hset(pointer_key(deployment.prefix), CUTOFF, "2020-02-01T00:00:00.000000")
    deployment.publish_event(event("running", job="back", time=times["new"], event_id="e2"), 0)
    deployment.wait_until_applied()
    deployment.stop(process)
    lines, findings = verified(deployment)
    assert lines == []
    assert {str(note): count for note, count in findings.notes.items()} == {
        "expired": 1,
        "spoke again after it had expired": 1,
    }
    deployment.redis.delete(base + jobs["new"])
    deployment.redis.hset(base + jobs["old"], "started", "rubbish")
    lines, _ = verified(deployment)
    assert len(lines) == 2


def test_the_command(deployment: Deployment, tmp_path: Path) -> None:
    """The exit code says whether anything differs; a repair leaves a report, and then all is right."""
    assert "there is no projection to verify" in deployment.command("projector", "verify", code=1)
    deployment.publish_event(event())
    process = deployment.start_projector()
    deployment.wait_until_applied()
    deployment.stop(process)
    assert "everything equal" in deployment.command("projector", "verify")
    assert "there is no generation 7" in deployment.command("projector", "verify", "--generation", "7", code=1)
    (key,) = (key for key in stored(deployment) if key.startswith(JOB))
    deployment.redis.delete(bucket_prefix(deployment.prefix, 1, 0) + key)
    said = deployment.command("projector", "verify", code=1)
    assert "job owner=0x1111 agreementId=0x2222 jobId=3333 attempt=1: missing job" in said
    report = tmp_path / "report.ndjson"
    said = deployment.command("projector", "verify", "--repair", "--report", str(report))
    assert "1 differences (1 missing job), 1 of them mended" in said
    first, last = map(json.loads, report.read_text().splitlines())
    assert (first["kind"], first["mended"], last["summary"]["mended"]) == ("missing job", True, 1)
    assert "everything equal" in deployment.command("projector", "verify", "--generation", "1")


@pytest.mark.long(120)
def test_memory_is_bounded(deployment: Deployment) -> None:
    """Neither three times as many events nor as many differences take more memory, also where processes help."""
    deployment.begin_projection()
    some = peak_mib(deployment, range(SOME_JOBS))
    many = peak_mib(deployment, range(SOME_JOBS, MANY_JOBS))
    assert many < some + MORE_MIB


def peak_mib(deployment: Deployment, more: range) -> int:
    """Return the most memory that a verification takes with so many jobs more, all of which are missing."""
    deployment.publish(
        (b"k", orjson.dumps(event(stage, job=f"job-{number}", event_id=stage, message="x" * 200)), [])
        for stage in ("started", "running", "finished")
        for number in more
    )
    deployment.jump_to_end()  # so every job is missing
    program = (
        "import pathlib, re, runpy, sys; sys.argv = ['projector', 'verify', '--processes', '2']\n"
        # What is kept in memory on purpose is full soon, so that all that grows afterwards shows.
        "from projector.replay.verify import scratch\nfrom projector.replay.verify.parallel import folding\n"
        "scratch._SETUP += 'pragma cache_size = -2048;'\n"
        "folding.PART_RECORDS = 500\n"
        "try: runpy.run_module('projector', run_name='__main__')\n"
        # Not getrusage: its peak begins with that of the process which forked this one.
        "finally: print('PEAK', re.search(r'VmHWM:\\s+(\\d+)', pathlib.Path('/proc/self/status').read_text())[1])"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=deployment.environment, capture_output=True, text=True, check=False)
    assert f"{3 * more.stop} records folded" in done.stdout, done.stdout + done.stderr
    assert f"{more.stop} missing job" in done.stdout
    return int(done.stdout.split("PEAK ")[1]) // 1024

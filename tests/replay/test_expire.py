"""Old jobs are let go by command: hidden at once, deleted by running projectors."""

import json
import time
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from devstack import free_port
from schemas.redis_layout import FOLD_VERSION, JOB, Pointer, bucket_prefix, pointer_key
from tests.support.deployment import Deployment, Message, get, wait_for
from tests.support.events import event
from tests.support.refold import Content, has_news, refold, stored

CUTOFF = "2020-10-01T01:00:30.000000"
BEFORE = "2020-10-01T01:00:30Z"
OWNERS = 5
STATUS = "/api/v1/operator/status"
HIDDEN_WITHIN_SECONDS = 2.0


def message(value: Mapping[str, Any]) -> Message:
    """Return the record of an event."""
    return value["data"]["jobId"].encode(), json.dumps(value).encode(), []


def messages(jobs: int) -> Iterator[Message]:
    """Yield events of jobs that began in the minute around the cutoff; every third one finished ten seconds later."""
    for number in range(jobs):
        second = number % 60
        name = {"job": f"job-{number}", "owner": f"0x{number % OWNERS}", "agreementId": f"a-{number % 100}"}
        yield message(event(time=f"2020-10-01T01:00:{second:02d}Z", **name))
        if number % 3 == 0:
            minute, second = divmod(second + 10, 60)
            yield message(event("finished", time=f"2020-10-01T01:{minute:02d}:{second:02d}Z", event_id="e2", **name))


def without_old(content: Content) -> Content:
    """Return what stays of jobs and indexes."""
    old = {
        name.removeprefix(JOB)
        for name, fields in content.items()
        if name.startswith(JOB) and not has_news(fields, CUTOFF)
    }
    indexes = {
        name: {member: score for member, score in members.items() if member not in old}
        for name, members in content.items()
        if not name.startswith(JOB)
    }
    jobs = {name: fields for name, fields in content.items() if name.startswith(JOB) and name[len(JOB) :] not in old}
    return jobs | {name: members for name, members in indexes.items() if members}


def cutoff_of(deployment: Deployment) -> bytes | None:
    """Return the cutoff in force."""
    return deployment.hash(pointer_key(deployment.prefix)).get(b"cutoff")


def jobs_stored(deployment: Deployment) -> int:
    """Return how many jobs are stored."""
    return sum(name.startswith(JOB) for name in stored(deployment))


def jobs_indexed(deployment: Deployment) -> int:
    """Return how many jobs are in the indexes of the owners, without looking at each."""
    base = bucket_prefix(deployment.prefix, 1, 0)
    return sum(deployment.redis.zcard(f"{base}owner:0x{owner}") for owner in range(OWNERS))


def collected(port: int) -> float:
    """Return how many jobs a projector says it has collected."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        text: str = answer.read().decode()
    return float(text.partition("\nprojector_jobs_collected_total ")[2].partition("\n")[0])


def test_old_jobs_are_hidden_at_once_and_deleted_soon(deployment: Deployment) -> None:
    """After the command the API hides them within two seconds; then they are gone, and all else is as it was."""
    deployment.publish(messages(600))
    port = free_port()
    deployment.start_projector(METRICS_PORT=str(port))
    deployment.wait_until_applied()
    whole = refold(deployment)
    assert stored(deployment) == whole
    positions = deployment.positions()
    old = jobs_stored(deployment) - sum(name.startswith(JOB) for name in without_old(whole))
    api = deployment.start_api()
    assert len(get(api, f"{STATUS}?owner=0x1")[2]) == 120
    rehearsed = deployment.command("projector", "expire", "--before", BEFORE, "--dry-run")
    assert f"{old} of 600 jobs have no news since {BEFORE} and would go" in rehearsed
    assert (cutoff_of(deployment), stored(deployment)) == (None, whole)
    said = deployment.command("projector", "expire", "--before", BEFORE)
    began = time.monotonic()
    shown = sum(
        f"0x{number % OWNERS}" == "0x1" for number in range(600) if number % 60 >= (20 if number % 3 == 0 else 30)
    )
    wait_for(lambda: len(get(api, f"{STATUS}?owner=0x1")[2]) == shown, "old jobs are hidden", HIDDEN_WITHIN_SECONDS)
    assert time.monotonic() - began < HIDDEN_WITHIN_SECONDS
    assert said.startswith(f"jobs without news since {BEFORE} are hidden now")
    assert cutoff_of(deployment) == CUTOFF.encode()
    wait_for(lambda: stored(deployment) == without_old(whole), "they are deleted")
    wait_for(lambda: collected(port) == old, "they are counted", 10)
    assert deployment.positions() == positions
    assert len(get(api, f"{STATUS}?owner=0x1")[2]) == shown
    assert f"0 of {600 - old} jobs" in deployment.command("projector", "expire", "--before", BEFORE, "--dry-run")
    deployment.command("projector", "doctor")


def test_the_cutoff_does_not_fall_and_is_not_in_the_future(deployment: Deployment) -> None:
    """An older time than the one in force, or one to come, is refused with a sentence, and nothing is changed."""

    def expire(*options: str, code: int = 0, **environment: str) -> str:
        return deployment.command("projector", "expire", "--before", *options, code=code, **environment)

    assert "start the projector first" in expire("90d", code=1)
    assert cutoff_of(deployment) is None
    live = Pointer(1, 1, FOLD_VERSION, "cluster", deployment.topic, ("first",))
    for name, value in live.as_fields().items():
        deployment.redis.hset(pointer_key(deployment.prefix), name, value)
    expire(BEFORE)
    for earlier in (("2020-10-01T01:00:29.999999Z",), ("2020-10-01", "--dry-run")):
        assert f"jobs without news since {BEFORE} are hidden already" in expire(*earlier, code=1)
    assert "is in the future" in expire("2999-01-01", code=1)
    assert "ISO 8601" in expire("yesterday", code=2)
    assert "less than a day ago, would go for good, running ones too: give --yes" in expire("0d", code=1)
    expire("2020-10-01T03:00:30+02:00")
    assert cutoff_of(deployment) == CUTOFF.encode()
    expire("30d")
    raised = (cutoff_of(deployment) or b"").decode()
    ago = datetime.now(UTC) - datetime.fromisoformat(raised + "Z")
    assert timedelta(days=30) <= ago < timedelta(days=30, minutes=1)
    expire("1h", "--yes")
    assert (cutoff_of(deployment) or b"").decode() > raised
    away = expire("1d", code=75, REDIS_URL="redis://127.0.0.1:1/0", START_TIMEOUT_SECONDS="1")
    assert "Redis cannot be reached" in away


def test_killed_while_it_collects(deployment: Deployment) -> None:
    """A projector that is killed between two steps leaves whole jobs only, and the next ones finish its work."""
    deployment.publish(messages(3000))
    first = deployment.start_projector()
    deployment.wait_until_applied()
    whole = refold(deployment)
    left = without_old(whole)
    assert stored(deployment) == whole
    deployment.command("projector", "expire", "--before", BEFORE)
    wait_for(lambda: jobs_indexed(deployment) < 3000, "some are deleted")
    first.kill()
    first.wait()
    half = stored(deployment)
    assert len(left) < len(half) < len(whole)
    jobs = {name.removeprefix(JOB) for name in half if name.startswith(JOB)}
    assert all(half[name] == whole[name] for name in half if name.startswith(JOB))
    assert {member for name, members in half.items() if name.startswith("owner:") for member in members} == jobs
    deployment.start_projector()
    deployment.start_projector()
    wait_for(lambda: stored(deployment) == left, "the rest is deleted")


def test_a_late_event_of_a_job_that_has_gone(deployment: Deployment) -> None:
    """A job that speaks again is shown with that event alone; when even that is old news it stays hidden and goes."""
    deployment.publish_event(event(job="speaks"), partition=0)
    deployment.publish_event(event(job="mumbles"), partition=0)
    process = deployment.start_projector()
    deployment.wait_until_applied()
    deployment.command("projector", "expire", "--before", BEFORE)
    wait_for(lambda: not stored(deployment), "both are deleted")
    deployment.publish_event(event("finished", time="2020-10-01T01:00:40Z", job="speaks", event_id="e2"), partition=0)
    deployment.publish_event(event("running", time="2020-10-01T01:00:20Z", job="mumbles", event_id="e2"), partition=0)
    deployment.wait_until_applied()
    api = deployment.start_api()
    [job] = get(api, f"{STATUS}?owner=0x1111")[2]
    assert (job["jobId"], job["dateCreated"], job["status"]) == ("speaks", "2020-10-01T01:00:40Z", 5)
    deployment.stop(process)
    deployment.start_projector()
    wait_for(lambda: "jobid:mumbles" not in stored(deployment), "the other goes again")
    assert jobs_stored(deployment) == 1


def test_a_rebuilt_generation_lets_them_go_too(deployment: Deployment) -> None:
    """After a rebuild, which folds the whole log, running projectors collect the old jobs of the new generation."""
    deployment.publish(messages(300))
    deployment.start_projector()
    deployment.wait_until_applied()
    deployment.command("projector", "expire", "--before", BEFORE)
    deployment.command("projector", "rebuild", "--buckets", "24")
    jobs = sum(name.startswith(JOB) for name in without_old(refold(deployment)))

    def job_keys() -> int:
        return len(list(deployment.redis.scan_iter(match=f"{deployment.prefix}:[{{]g2.*job:*", count=10_000)))

    wait_for(lambda: job_keys() == jobs, "only those with news are left")

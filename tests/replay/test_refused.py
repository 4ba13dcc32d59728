"""Refused events that name a job: remembered from the log, known to verify, and kept by whatever makes a generation."""

import asyncio
from pathlib import Path
from typing import Any, cast

from schemas.redis_layout import REFUSED, REFUSED_TIMES, bucket_prefix
from schemas.refused_event import RefusedEvent, newest
from tests.support.deployment import Deployment, get
from tests.support.events import event, record
from tests.support.topics import delete_records
from tests.support.verifying import verified

EVENTS = [
    event("started", job="one"),
    event("running", job="one", attempt=0),
    event("running", job="one", message="x" * 2000),
    event("running", job="two", event_id=""),
    event("started", job="two"),
]


def remembered(deployment: Deployment, buckets: int = 1) -> dict[str, int]:
    """Return what all buckets of the live generation remember, by both of their keys alike."""
    found: dict[str, int] = {}
    for bucket in range(buckets):
        base = bucket_prefix(deployment.prefix, deployment.generation, bucket)
        times: Any = deployment.redis.zrange(base + REFUSED_TIMES, 0, -1, withscores=True)
        held = {entry.decode(): int(score) for entry, score in times}
        of_jobs = cast("list[bytes]", deployment.redis.zrange(base + REFUSED, 0, -1))
        assert held.keys() == {entry.decode() for entry in of_jobs}
        found |= held
    return found


def test_refused_events_follow_from_the_log(deployment: Deployment, tmp_path: Path) -> None:
    """What is remembered is found by verify, mended, and the same after a rebuild, an import, and a lost beginning."""
    deployment.publish([(b"key", record(0, item).value, []) for item in EVENTS], 0)
    projector = deployment.start_projector()
    deployment.wait_until_applied()
    first = remembered(deployment)
    places = [(RefusedEvent.of(entry).record, RefusedEvent.of(entry).reason) for entry in first]
    assert sorted(places) == [(f"{deployment.topic}/0/{offset}", "invalid-field") for offset in (2, 3)]
    assert newest(first) == first
    assert verified(deployment)[0] == []
    _check_repairs(deployment, first)
    deployment.command("projector", "rebuild", "--buckets", "2", "--check")
    assert remembered(deployment, 2) == first
    archive = str(tmp_path / "archive")
    deployment.command("projector", "export", "--output", archive)
    deployment.stop(projector)
    deployment.forget()
    assert "with 2 jobs" in deployment.command("projector", "import", archive)
    assert remembered(deployment, 2) == first
    deployment.start_projector()
    deployment.wait_until_applied()
    asyncio.run(delete_records(deployment, 0, 3))
    deployment.command("projector", "rebuild", "--carry-over", "--check")
    assert remembered(deployment, 2) == first
    [timeline] = get(deployment.start_api(), "/api/v1/operator/status/timeline?jobId=two")[2]
    assert [one["reason"] for one in timeline["refused"]] == ["invalid-field"]


def _check_repairs(deployment: Deployment, right: dict[str, int]) -> None:
    """Damage what is remembered, and have it found and mended."""
    base, redis = bucket_prefix(deployment.prefix, 1, 0), deployment.redis
    gone, surplus = min(right), "member\t000000000000007\tt/0/7\tnot-json"
    redis.zrem(base + REFUSED, gone)
    redis.zadd(base + REFUSED_TIMES, {surplus: 7})
    found = [
        f"refused events: refused event {surplus.replace(chr(9), ' ')}: stored nothing, log says nothing",
        f"refused events: refused event {gone.replace(chr(9), ' ')}: stored nothing, log says 'remembered'",
    ]
    assert sorted(verified(deployment)[0]) == sorted(found)
    assert all(line.endswith("(mended)") for line in verified(deployment, repair=True)[0])
    redis.set(base + REFUSED, "not ours")
    lines, findings = verified(deployment, repair=True)
    assert "refused events: wrong type refused: stored 'string', log says 'zset' (mended)" in lines
    assert findings.is_right
    assert verified(deployment)[0] == []
    assert remembered(deployment) == right

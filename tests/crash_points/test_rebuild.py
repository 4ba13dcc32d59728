"""Wherever a rebuild is killed, what is shown stays right, and the next rebuild completes it."""

import asyncio
import os
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from redis import Redis

from projector.replay.generations import lease
from projector.replay.rebuild.rebuild import Options, rebuild
from projector.settings import ProjectorSettings
from projector.store import catalog
from schemas.redis_layout import SEALED, bucket_prefix
from service.redis import connect
from tests.support.deployment import Deployment, get, wait_for
from tests.support.events import event, record
from tests.support.points import Driven, Points, run_in_child
from tests.support.refold import refold, stored
from tests.support.services import Services

# 1 takes every point (as `make torture` does); `make test` takes some.
STRIDE = int(os.environ.get("CRASH_POINT_STRIDE", "18"))


@pytest.fixture
def deployment(services: Services, tmp_path: Path) -> Iterator[Deployment]:
    """A log of a few jobs in two partitions, and a projector and an API that run all the time."""
    name = f"crash-{uuid.uuid4().hex[:12]}"
    with Deployment(services, name, tmp_path, partitions=2) as deployment:
        for partition in (0, 1):
            events = [event(stage, job=job, event_id=stage) for stage in ("started", "running") for job in ("a", "b")]
            deployment.publish([(b"key", record(0, item).value, []) for item in events], partition)
        deployment.start_projector()
        deployment.wait_until_applied()
        yield deployment


def run(deployment: Deployment, wanted: int = 0) -> tuple[int, int]:
    """Run a rebuild until it is over, or dies at the wanted point."""
    settings = ProjectorSettings.load(deployment.environment)

    async def main(points: Points) -> None:
        redis = connect(settings)
        await asyncio.create_task(Driven(rebuild(settings, redis, Options()), points))
        await redis.aclose()

    return run_in_child(main, wanted)


@pytest.mark.long(100)
@pytest.mark.timeout(1800)
def test_killed_at_any_point_of_a_rebuild(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed before or after any await, a rebuild leaves readers with right answers, and the next one completes it."""
    for module in (catalog, lease):  # so that the next one need not wait for long
        monkeypatch.setattr(module, "LEASE_SECONDS", 1.0)
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.25)
    api = deployment.start_api()
    points, killed_by = run(deployment)
    assert killed_by == 0
    assert points > 50
    assert deployment.generation == 2
    expected = refold(deployment)
    for number, wanted in enumerate(range(1, points + 1, STRIDE)):
        before = deployment.generation
        run(deployment, wanted)
        assert deployment.generation - before in {0, 1}
        assert get(api, "/api/v1/operator/status?owner=0x1111")[0] == 200, f"point {wanted}"
        deployment.publish_event(event("finished", job="a", event_id=f"{number}"), 0)
        expected_after = refold(deployment)
        assert expected_after.keys() == expected.keys()
        deployment.wait_until_applied()  # a seal that was left over does not stop the projector
        assert stored(deployment) == expected_after, f"point {wanted}"
    assert run(deployment)[1] == 0
    wait_for(lambda: not is_sealed(deployment), "the live generation is not sealed")
    assert stored(deployment) == refold(deployment)


def is_sealed(deployment: Deployment) -> bool:
    """Tell whether the live generation is sealed."""
    with closing(Redis.from_url(deployment.services.redis_url)) as redis:
        return bool(redis.hexists(bucket_prefix(deployment.prefix, deployment.generation, 0) + "meta", SEALED))

"""A Redis that is far away, behind a thin link: what is new is seen soon, and how far it is, is known all the time."""

import math
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest

from devstack import free_port
from schemas.redis_layout import HEARTBEATS, bucket_prefix
from tests.support.deployment import Deployment, wait_for
from tests.support.events import event
from tests.support.health import ready
from tests.support.linked import linked
from tests.support.links import Link
from tests.support.services import Services
from tests.support.simulated import messages

BUCKETS: Final = 10
WAY_SECONDS: Final = 0.1  # there; and as long back
BYTES_PER_SECOND: Final = 125_000.0  # 1 Mbit/s
SEEN_SECONDS: Final = 3.0  # about 2, and some for the machine
FRESH_SECONDS: Final = 5.0
JOBS: Final = 150


def make_far(link: Link) -> None:
    """Make the way long and thin."""
    link.delay(WAY_SECONDS)
    link.narrow(BYTES_PER_SECOND)


@pytest.fixture
def far(services: Services, tmp_path: Path) -> Iterator[tuple[Deployment, int]]:
    """A projection of ten buckets, whose projector is far from Redis, and where that tells whether it is ready."""
    with (
        linked(urlsplit(services.redis_url).port or 0) as link,
        Deployment(services, f"far-{uuid.uuid4().hex[:12]}", tmp_path) as deployment,
    ):
        near = deployment.start_projector()
        deployment.publish_event(event(), 0)
        deployment.wait_until_applied()
        deployment.command("projector", "rebuild", "--buckets", str(BUCKETS))
        deployment.stop(near)
        link.do(make_far)
        port = free_port()
        deployment.start_projector(METRICS_PORT=str(port), REDIS_URL=link.redis_url)
        deployment.publish_event(event(job="first"), 0)
        deployment.wait_until_applied()
        wait_for(lambda: oldest_seconds(deployment) < FRESH_SECONDS, "every bucket has a heartbeat", 30)
        yield deployment, port


def oldest_seconds(deployment: Deployment) -> float:
    """Return how old the oldest heartbeat of any bucket is, by Redis' clock; infinite while one has none."""
    seconds, microseconds = deployment.redis.time()
    bases = [bucket_prefix(deployment.prefix, deployment.generation, number) for number in range(BUCKETS)]
    stored = [list(deployment.hash(base + HEARTBEATS).values()) for base in bases]
    if not all(stored):
        return math.inf
    seen = [int(value.split()[0]) for heartbeats in stored for value in heartbeats]
    return float(seconds + microseconds / 1e6 - min(seen) / 1000)


@pytest.mark.alone
@pytest.mark.long(30)
def test_what_is_new_is_seen_soon_and_the_lag_is_known(far: tuple[Deployment, int]) -> None:
    """With 200 ms and 1 Mbit/s to Redis and ten buckets, events are seen within about two seconds, also behind many."""
    deployment, port = far
    for number in range(3):
        began = time.monotonic()
        deployment.publish_event(event(job=f"one-{number}"), 1)
        deployment.wait_until_applied()
        assert time.monotonic() - began < SEEN_SECONDS
        assert oldest_seconds(deployment) < FRESH_SECONDS
    deployment.publish(messages(seed=1, jobs=JOBS))
    ends = {str(number): end for number, end in deployment.log_ends().items()}
    ages = []

    def is_applied() -> bool:
        ages.append(oldest_seconds(deployment))
        return all(deployment.positions(bucket) == ends for bucket in range(BUCKETS))

    wait_for(is_applied, "all is applied", 60)
    assert max(ages) < FRESH_SECONDS
    assert ready(port)[0] == 200

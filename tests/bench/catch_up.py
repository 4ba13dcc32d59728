"""Catch-up: a log that is already there, folded into an empty Redis, by the projector and by the plain pipeline."""

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from tests.bench.plain import project
from tests.support.deployment import Deployment, Message, wait_for
from tests.support.processes import started
from tests.support.services import Services
from worker.simulation import Mix, events

WORKLOAD = "each about 500 events after the one before of its job, 4 partitions, lz4"
MIX = Mix(owners=1000, rate=1000, pace_seconds=0.5, failures=0)
PARTITIONS = 4
LIMIT_SECONDS = 300.0


@dataclass
class CatchUp:
    """The topic with the load, and where the two projections go."""

    services: Services
    directory: Path
    deployment: Deployment = field(init=False)

    def __post_init__(self) -> None:
        """Describe the deployment; it is entered by whoever runs the benchmark."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.deployment = Deployment(
            self.services, f"bench-{uuid.uuid4().hex[:8]}", self.directory, partitions=PARTITIONS, start=started
        )


def load(run: CatchUp, jobs: int) -> int:
    """Write the events of so many jobs to the topic; return how many."""
    run.deployment.publish(_messages(jobs))
    return sum(run.deployment.log_ends().values())


def _messages(jobs: int) -> Iterator[Message]:
    for record in events(seed=1, jobs=jobs, mix=MIX):
        yield record.key, record.value, list(record.headers)


def measure_plain(run: CatchUp, count: int) -> float:
    """Return the events per second of the plain pipeline."""
    place = run.deployment
    servers, redis_url = run.services.kafka_bootstrap_servers, run.services.redis_url
    seconds = uvloop.run(project(servers, place.topic, PARTITIONS, count, redis_url, place.prefix))
    run.deployment.forget()
    return count / seconds


def measure_projector(run: CatchUp, count: int) -> float:
    """Return the events per second of one projector, from the first position it stores to the last."""
    process = run.deployment.start_projector()

    def applied() -> int:
        return sum(run.deployment.positions().values())

    first: int = wait_for(applied, "the first batch", LIMIT_SECONDS)
    began = time.perf_counter()
    wait_for(lambda: applied() >= count, "the last batch", LIMIT_SECONDS)
    seconds = time.perf_counter() - began
    run.deployment.stop(process)
    run.deployment.forget()
    return (count - first) / seconds

"""Catch-up: a log that is already there, folded into an empty Redis, by the projector and by the plain pipeline."""

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import uvloop

from tests.bench.place import AOF, Place, redis_seconds, used_seconds
from tests.bench.plain import project
from tests.support.deployment import Deployment, Message, wait_for
from tests.support.processes import started
from tests.support.services import Services
from worker.simulation import Mix, events

# What a job's next event is behind in the log: as many simulated seconds as events a millisecond. The projector's batch
# folds the near ones together; the far ones are each a write of its own, as in life.
RATE: Final = 1000
NEAR: Final = "near"
FAR: Final = "far"
PACE_SECONDS: Final = {NEAR: 0.5, FAR: 50.0}
PARTITIONS: Final = 4
LIMIT_SECONDS: Final = 300.0


WORKLOAD: Final = "each about 500 events after the one before of its job, 4 partitions, lz4"


@dataclass(frozen=True)
class Log:
    """A topic with the events of a workload."""

    topic: str
    events: int

    def deployment(self, place: Place, services: Services, name: str) -> Deployment:
        """Return what folds it into a Redis."""
        return Deployment(services, self.topic, place.room(name), partitions=PARTITIONS, start=started)


def written(place: Place, workload: str, jobs: int) -> Log:
    """Write the log of so many jobs of a workload."""
    topic = f"bench-{workload}-{uuid.uuid4().hex[:8]}"
    with Deployment(place.services, topic, place.room(topic), partitions=PARTITIONS, start=started) as deployment:
        deployment.publish(messages(workload, jobs))
        return Log(topic, sum(deployment.log_ends().values()))


def messages(workload: str, jobs: int) -> Iterator[Message]:
    """Yield the events of so many jobs of a workload."""
    mix = Mix(owners=1000, rate=RATE, pace_seconds=PACE_SECONDS[workload], failures=0)
    for record in events(seed=1, jobs=jobs, mix=mix):
        yield record.key, record.value, list(record.headers)


def measure_catch_up(place: Place) -> None:
    """Measure both workloads, with the append-only file and without it, by turns with the plain pipeline."""
    for workload in PACE_SECONDS:
        log = written(place, workload, place.sizes.jobs)
        for aof in AOF:
            name = f"catch-up-{workload}-{aof}"
            with place.redis(name, aof) as services, log.deployment(place, services, name) as deployment:
                for _ in range(place.sizes.rounds):
                    _measure_pair(place, log, deployment, f"catch-up/{workload}/{aof}")


def _measure_pair(place: Place, log: Log, deployment: Deployment, key: str) -> None:
    add = place.figures.add
    plain = _plain_rate(log, deployment)
    rate, projector, redis = _projector_costs(log, deployment)
    add(f"{key}/plain", plain)
    add(f"{key}/projector", rate)
    add(f"{key}/ratio", rate / plain)
    add(f"{key}/projector cpu", projector * 1e6)
    add(f"{key}/redis cpu", redis * 1e6)


def _plain_rate(log: Log, deployment: Deployment) -> float:
    """Return the events per second of the plain pipeline."""
    services = deployment.services
    servers, redis_url = services.kafka_bootstrap_servers, services.redis_url
    seconds = uvloop.run(project(servers, log.topic, PARTITIONS, log.events, redis_url, deployment.prefix))
    deployment.redis.flushall()
    return log.events / seconds


def _projector_costs(log: Log, deployment: Deployment) -> tuple[float, float, float]:
    """Return what one projector does from the first position it stores to the last.

    Its events per second, and for each event the processor time that it and Redis took, in seconds.
    """
    process = deployment.start_projector()

    def applied() -> int:
        return sum(deployment.positions().values())

    def spent() -> tuple[float, float]:
        return used_seconds(process.pid), redis_seconds(deployment.redis)

    first: int = wait_for(applied, "the first batch", LIMIT_SECONDS)
    began, before = time.perf_counter(), spent()
    wait_for(lambda: applied() >= log.events, "the last batch", LIMIT_SECONDS)
    seconds, after = time.perf_counter() - began, spent()
    deployment.stop(process)
    deployment.redis.flushall()
    count = max(log.events - first, 1)
    return count / seconds, (after[0] - before[0]) / count, (after[1] - before[1]) / count

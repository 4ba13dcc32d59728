"""Redis loses what it had acknowledged: a promoted replica, two primaries, a torn file, a lost reply."""

import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from devstack import Redis as RedisServer
from devstack import free_port
from projector.store.ledger import ledgers
from schemas.redis_layout import META, POSITIONS, bucket_prefix
from tests.support.deployment import Deployment, get, wait_for
from tests.support.events import event
from tests.support.health import ready
from tests.support.linked import RunningLink, linked
from tests.support.links import Direction
from tests.support.refold import assert_right
from tests.support.services import Services
from tests.support.simulated import messages

STATUS = "/api/v1/operator/status?jobId="
HOST = "127.0.0.1"
JOBS = 150
RECOVERY_SECONDS = 30.0
ROUNDS = 5
APPLY_SECONDS, POLL_SECONDS = 2.0, 0.02
TORN_BYTES = 7  # less than any command


@pytest.fixture
def primary(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of the test's own."""
    with RedisServer(tmp_path / "primary") as server:
        yield server


@pytest.fixture
def replica(primary: RedisServer, tmp_path: Path) -> Iterator[RedisServer]:
    """A replica of it, in step."""
    with RedisServer(tmp_path / "replica", settings={"repl-diskless-sync-delay": "0"}) as server:
        with Redis.from_url(server.url) as client:
            client.replicaof(HOST, str(primary.port))
            wait_for(lambda: client.info("replication")["master_link_status"] == "up", "the replica is in step")
        yield server


@contextmanager
def deployed(services: Services, redis_url: str, directory: Path) -> Iterator[Deployment]:
    """Yield a deployment on a Redis of the test's own."""
    own = Services(services.kafka_bootstrap_servers, redis_url, "devstack")
    with Deployment(own, f"failover-{uuid.uuid4().hex[:12]}", directory) as deployment:
        yield deployment


def promote(server: RedisServer) -> None:
    """Make a replica a primary; whoever was its primary does not learn of it."""
    with Redis.from_url(server.url) as client:
        client.replicaof("NO", "ONE")


def demote(server: RedisServer, to: RedisServer) -> None:
    """Make a primary the replica of another, so that its own data is dropped."""
    with Redis.from_url(server.url) as client:
        client.replicaof(HOST, str(to.port))


def positions_at(server: RedisServer, deployment: Deployment) -> dict[str, int]:
    """Return the position of each partition that one of the servers holds."""
    with Redis.from_url(server.url) as client:
        stored: dict[bytes, bytes] = client.hgetall(bucket_prefix(deployment.prefix, 1, 0) + POSITIONS)
    return {name.decode().rpartition("/")[2]: int(value) for name, value in stored.items() if b"#" not in name}


def answer(address: str, job: str) -> tuple[int, str, Any]:
    """Return the status, the lag and the body of an answer about a job."""
    status, headers, body = get(address, STATUS + job)
    return status, headers.get("Projection-Lag", ""), body


def catches_up(address: str, job: str, shown: Any) -> None:
    """Ask about a job until the answer is sure again; what was shown of it once is shown, or nothing at all."""

    def is_sure() -> bool:
        status, lag, body = answer(address, job)
        assert status == 503 or body == shown
        return status == 200 and lag == "0"

    wait_for(is_sure, "the answer is sure again", RECOVERY_SECONDS)


def test_a_promoted_replica_that_lacks_acknowledged_writes(
    services: Services, primary: RedisServer, replica: RedisServer, tmp_path: Path
) -> None:
    """What the new primary never got is applied to it again by itself, and no answer shows it missing."""
    with linked(primary.port) as link, deployed(services, link.redis_url, tmp_path) as deployment:
        address = deployment.start_api()
        deployment.start_projector()
        deployment.publish(messages(seed=1, jobs=JOBS))
        deployment.wait_until_applied()
        wait_for(lambda: positions_at(replica, deployment) == deployment.positions(), "the replica has it too")
        promote(replica)
        deployment.publish(messages(seed=2, jobs=JOBS))
        deployment.publish_event(event("finished", job="last"), 0)
        deployment.wait_until_applied()
        reached = deployment.positions()
        shown = answer(address, "last")[2]
        assert shown[0]["statusText"] == "Job finished"
        link.do(lambda it: it.switch(replica.port))
        assert deployment.positions() != reached
        demote(primary, to=replica)
        catches_up(address, "last", shown)
        assert deployment.positions() == reached
        assert_right(deployment)
        floors = deployment.hash(bucket_prefix(deployment.prefix, 1, 0) + META)
        assert all(int(floors[f"floor:{deployment.topic}/{name}".encode()]) == end for name, end in reached.items())


@pytest.mark.alone
def test_two_primaries_that_meet_again(
    services: Services, primary: RedisServer, replica: RedisServer, tmp_path: Path
) -> None:
    """While two projectors write into two primaries both sides say that they are not sure; then all of it is in one."""
    with (
        linked(primary.port) as near,
        linked(primary.port) as far,
        deployed(services, near.redis_url, tmp_path) as deployment,
    ):
        addresses = [deployment.start_api(REDIS_URL=link.redis_url) for link in (near, far)]
        deployment.start_projector()
        deployment.publish(messages(seed=3, jobs=JOBS))
        deployment.wait_until_applied()
        deployment.start_projector(REDIS_URL=far.redis_url)
        theirs = wait_for(lambda: placed(tmp_path / "projector-3.log"), "the second one has partitions")
        ours = {"0", "1", "2"} - theirs
        assert ours
        deployment.publish(messages(seed=4, jobs=JOBS))
        deployment.wait_until_applied()
        separate(replica, far)
        deployment.publish(messages(seed=5, jobs=JOBS))
        jobs = {number: f"last-{number}" for number in range(3)}
        for number, job in jobs.items():
            deployment.publish_event(event("finished", job=job), number)
        ends = {str(number): end for number, end in deployment.log_ends().items()}
        wait_for(lambda: ends.items() & positions_at(primary, deployment).items() == of(ours, ends), "one side goes on")
        wait_for(lambda: ends.items() & positions_at(replica, deployment).items() == of(theirs, ends), "and the other")
        shown = {job: [answer(address, job)[2] for address in addresses] for job in jobs.values()}
        assert all(bool(one) != bool(two) for one, two in shown.values()), "each side knows what the other does not"
        wait_for(lambda: {answer(one, "last-0")[1] for one in addresses} == {"unknown"}, "both say they are not sure")
        demote(primary, to=replica)
        near.do(lambda it: it.switch(replica.port))
        for job, (one, two) in shown.items():
            for address in addresses:
                catches_up(address, job, one or two)
        assert_right(deployment)


def of(names: set[str], ends: dict[str, int]) -> set[tuple[str, int]]:
    """Return the ends of some partitions."""
    return {(name, ends[name]) for name in names}


def placed(log: Path) -> set[str]:
    """Return the numbers of the partitions that a projector says it has placed."""
    return set(re.findall(r"partition placed.*?partition=\S+/(\d)", log.read_text()))


def separate(replica: RedisServer, link: RunningLink) -> None:
    """Make the replica a primary and have everybody at the link take it for the only one."""
    promote(replica)
    link.do(lambda it: it.switch(replica.port))


@pytest.mark.parametrize("torn_bytes", [0, TORN_BYTES])
def test_a_file_without_its_last_second(
    services: Services, primary: RedisServer, tmp_path: Path, torn_bytes: int
) -> None:
    """A Redis that was killed and lacks its last writes, the first of them torn, is filled again, hidden meanwhile."""
    with deployed(services, primary.url, tmp_path) as deployment:
        address = deployment.start_api()
        deployment.start_projector()
        deployment.publish(messages(seed=6, jobs=JOBS))
        assert_right(deployment)
        (file,) = (primary.directory / "data").glob("appendonlydir/*.incr.aof")
        kept = file.stat().st_size
        deployment.publish(messages(seed=7, jobs=JOBS))
        deployment.publish_event(event("finished", job="last"), 0)
        deployment.wait_until_applied()
        shown = answer(address, "last")[2]
        assert shown
        primary.kill()
        with file.open("r+b") as content:
            content.truncate(kept + torn_bytes)
        primary.start()
        catches_up(address, "last", shown)
        assert_right(deployment)


def test_a_reply_that_is_lost(services: Services, primary: RedisServer, tmp_path: Path) -> None:
    """A batch whose answer never came is not applied twice: the stored position tells that it was."""
    with linked(primary.port) as link, deployed(services, primary.url, tmp_path) as deployment:
        port = free_port()
        process = deployment.start_projector(REDIS_URL=link.redis_url, METRICS_PORT=str(port))
        deployment.publish_event(event(job="before"), 0)
        deployment.wait_until_applied()
        wait_for(lambda: ready(port)[0] == 200, "ready")
        lost = sum(reply_is_lost(deployment, link, f"job-{number}", port) for number in range(ROUNDS))
        assert lost, "a batch was applied and its answer held back"
        assert_right(deployment)
        (account,) = ledgers([deployment.hash(bucket_prefix(deployment.prefix, 1, 0) + POSITIONS)]).values()
        assert (account.applied, account.known, account.is_closed) == (1 + ROUNDS, 0, True)
        assert process.poll() is None


def reply_is_lost(deployment: Deployment, link: RunningLink, job: str, port: int) -> bool:
    """Hold back answers, have an event applied, cut the link; tell whether it was applied before that.

    It is not when the projector was asking for something else at that moment.
    """
    before = deployment.positions()["0"]
    link.do(lambda it: it.stall(Direction.REPLIES))
    deployment.publish_event(event(job=job), 0)
    deadline = time.monotonic() + APPLY_SECONDS
    while deployment.positions()["0"] == before and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    is_applied = deployment.positions()["0"] > before
    link.do(lambda it: it.close_all())
    link.do(lambda it: it.heal())
    deployment.wait_until_applied()
    wait_for(lambda: ready(port)[0] == 200, "ready again", RECOVERY_SECONDS)
    return is_applied

"""A cluster of Redis that fails over by itself, under a projection in several buckets."""

import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import pytest
from redis import Redis, RedisCluster
from redis.exceptions import RedisError

from devstack import Redis as RedisServer
from devstack import free_port
from projector.replay.generations.size import require_room
from projector.settings import ProjectorSettings
from projector.store.ledger import ledgers
from projector.store.memory import require_redis
from schemas.redis_layout import JOB, META, POSITIONS, bucket_prefix, pointer_key
from service.errors import CommandError, ServiceUnavailableError
from service.redis import connect
from tests.support.deployment import Deployment, get, wait_for
from tests.support.events import event
from tests.support.health import ready
from tests.support.lateness import Lateness
from tests.support.refold import refold, stored
from tests.support.services import Services
from tests.support.simulated import messages

HOST = "127.0.0.1"
SLOTS = 16_384
PRIMARIES = 3
BUCKETS = 4
JOBS = 150
LIMIT_BYTES = 100 * 1024 * 1024
RECOVERY_SECONDS = 45.0
ANSWER_SECONDS = 20.0
PAUSE_SECONDS = 0.02
SLOW_SECONDS = 2.5  # the API's second, and some for a busy machine
OK = 200
STATUS = "/api/v1/operator/status?jobId=done"
SETTINGS = {
    "cluster-enabled": "yes",
    "cluster-node-timeout": "1000",
    "cluster-replica-validity-factor": "0",  # a replica takes over however old its data is
    "repl-diskless-sync-delay": "0",
}


class Cluster:
    """Three primaries, each with a replica."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        buses = [free_port() for _ in range(2 * PRIMARIES)]
        self.nodes = [
            stack.enter_context(
                RedisServer(directory / f"node-{number}", settings=SETTINGS | {"cluster-port": str(bus)})
            )
            for number, bus in enumerate(buses)
        ]
        self._form(buses)

    @property
    def url(self) -> str:
        """Where clients begin."""
        return f"redis+cluster://{HOST}:{self.nodes[0].port}"

    def _form(self, buses: Sequence[int]) -> None:
        primaries, replicas = self.nodes[:PRIMARIES], self.nodes[PRIMARIES:]
        share = SLOTS // PRIMARIES + 1
        for number, node in enumerate(primaries):
            ask(node, "CLUSTER", "ADDSLOTSRANGE", number * share, min(SLOTS, (number + 1) * share) - 1)
            ask(node, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node, bus in zip(self.nodes, buses, strict=True):
            ask(primaries[0], "CLUSTER", "MEET", HOST, node.port, bus)
        wait_for(lambda: all(len(self.known(node)) == len(self.nodes) for node in self.nodes), "all nodes have met")
        for primary, replica in zip(primaries, replicas, strict=True):
            ask(replica, "CLUSTER", "REPLICATE", ask(primary, "CLUSTER", "MYID").decode())
        self.is_whole()

    def known(self, node: RedisServer) -> list[str]:
        """Return what a node knows of each node, a line each."""
        return str(ask(node, "CLUSTER", "NODES").decode()).splitlines()

    def is_whole(self) -> None:
        """Return once every node that runs sees a whole cluster, and every replica is in step."""
        wait_for(lambda: all(_is_in_step(node) for node in self.nodes if node.is_running), "the cluster is whole")

    def primary_of(self, key: str) -> RedisServer:
        """Return the node that a key is written to."""
        with RedisCluster.from_url(self.nodes[-1].url, socket_timeout=ANSWER_SECONDS) as client:
            port = client.get_node_from_key(key).port
        return next(node for node in self.nodes if node.port == port)


def ask(node: RedisServer, *words: str | int) -> Any:
    """Ask one node; it fails, and does not hang, when that does not answer."""
    with Redis.from_url(node.url, socket_timeout=ANSWER_SECONDS) as client:
        return client.execute_command(*words, NEVER_DECODE=True)


def _is_in_step(node: RedisServer) -> bool:
    state = ask(node, "CLUSTER", "INFO")
    replication = ask(node, "INFO", "replication")
    return b"cluster_state:ok" in state and b"master_link_status:down" not in replication


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster of the test's own."""
    with ExitStack() as stack:
        yield Cluster(tmp_path, stack)


class Readers:
    """Asks all the time for one job; keeps what was answered, and how long the slowest answer took.

    Without the time by which the machine was late meanwhile, for one process of those that an answer passes through.
    """

    def __init__(self, address: str) -> None:
        self.statuses: set[int] = set()
        self.bodies: list[Any] = []
        self.slowest_seconds = 0.0
        self._address = address
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        with Lateness() as machine:
            while not self._is_over.wait(PAUSE_SECONDS):
                began = time.monotonic() - machine.seconds
                status, _, body = get(self._address, STATUS)
                self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - machine.seconds - began)
                self.statuses.add(status)
                if status == OK:
                    self.bodies.append(body)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._is_over.set()
        self._thread.join()


def assert_right(deployment: Deployment) -> None:
    """Hold all buckets together against the log, and the ledgers against the positions, once all are at its end."""
    ends = {str(number): end for number, end in deployment.log_ends().items()}
    wait_for(lambda: all(positions(deployment, bucket) == ends for bucket in range(BUCKETS)), "all is applied", 60)
    whole: dict[str, dict[str, Any]] = {}
    for bucket in range(BUCKETS):
        for key, content in stored(deployment, bucket).items():
            whole[key] = whole.get(key, {}) | content
    assert whole == refold(deployment)
    bases = [bucket_prefix(deployment.prefix, deployment.generation, bucket) for bucket in range(BUCKETS)]
    accounts = ledgers([deployment.hash(base + POSITIONS) for base in bases])
    assert all(account.is_closed for account in accounts.values())


def is_sure(address: str) -> bool:
    """Tell whether the API answers, and knows that it shows everything."""
    status, headers, _ = get(address, STATUS)
    return status == OK and headers["Projection-Lag"] == "0"


def positions(deployment: Deployment, bucket: int) -> dict[str, int]:
    """Return the positions of a bucket; none while its node is away."""
    try:
        return deployment.positions(bucket)
    except RedisError:
        return {}


@pytest.mark.long(25)
@pytest.mark.timeout(300)
def test_whichever_node_dies_its_replica_takes_over(services: Services, cluster: Cluster, tmp_path: Path) -> None:
    """When the node of the pointer is killed, or that of a bucket hangs, all is right again without anybody."""
    own = Services(services.kafka_bootstrap_servers, cluster.url, "devstack")
    with Deployment(own, f"cluster-{uuid.uuid4().hex[:12]}", tmp_path) as deployment:
        port = free_port()
        process = deployment.start_projector(METRICS_PORT=str(port))
        deployment.publish_event(event("finished", job="done"), 0)
        deployment.publish(messages(seed=1, jobs=JOBS))
        deployment.wait_until_applied()
        deployment.command("projector", "rebuild", "--buckets", str(BUCKETS))
        assert_right(deployment)
        address = deployment.start_api()
        wait_for(lambda: is_sure(address), "the API answers")
        buckets = [bucket_prefix(deployment.prefix, 2, number) + META for number in range(BUCKETS)]
        keys = [pointer_key(deployment.prefix), *buckets]
        assert len({cluster.primary_of(key).port for key in keys}) == PRIMARIES
        faults = [(keys[0], RedisServer.kill, RedisServer.start), (keys[-1], RedisServer.pause, RedisServer.resume)]
        with Readers(address) as readers:
            for seed, (key, harm, mend) in enumerate(faults, start=2):
                victim = cluster.primary_of(key)
                deployment.publish(messages(seed=10 * seed, jobs=JOBS))
                harm(victim)
                deployment.publish(messages(seed=10 * seed + 1, jobs=JOBS))
                wait_for(lambda: ready(port)[0] == OK, f"the projector is ready again {ready(port)}", RECOVERY_SECONDS)
                assert_right(deployment)
                wait_for(lambda: is_sure(address), "the API is sure again", RECOVERY_SECONDS)
                mend(victim)
                cluster.is_whole()
        # Each bucket is asked of its owner alone.
        jobs = sum(key.startswith(JOB) for bucket in range(BUCKETS) for key in stored(deployment, bucket))
        assert f" {jobs} jobs compared" in deployment.command("projector", "verify")
        assert readers.statuses == {OK, 503}
        assert len({str(body) for body in readers.bodies}) == 1, "the same job each time"
        assert readers.slowest_seconds < SLOW_SECONDS
        assert process.poll() is None


@pytest.mark.parametrize("words", [("run",), ("doctor",), ("generations", "list")])
def test_a_cluster_of_which_no_node_answers_is_waited_for(deployment: Deployment, words: Sequence[str]) -> None:
    """When all nodes are away, whoever needs them waits as long as it is allowed to, and then says what to do."""
    url = f"redis+cluster://{HOST}:{free_port()}"
    code = 1 if words == ("doctor",) else 75
    said = deployment.command("projector", *words, code=code, REDIS_URL=url, START_TIMEOUT_SECONDS="1")
    assert "Redis cannot be reached" in said
    assert "REDIS_URL" in said
    assert "Traceback" not in said


async def test_every_node_is_asked_about_its_memory(services: Services, cluster: Cluster) -> None:
    """One node that may drop keys is enough to refuse the cluster, and each needs room for its own buckets."""
    settings = ProjectorSettings.load(
        {"KAFKA_BOOTSTRAP_SERVERS": services.kafka_bootstrap_servers, "REDIS_URL": cluster.url}
    )
    names = {cluster.primary_of(base).port: base for base in map(str, range(100))}
    assert len(names) == PRIMARIES
    redis = connect(settings)
    try:
        for node in cluster.nodes[:PRIMARIES]:
            ask(node, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
            with pytest.raises(ServiceUnavailableError, match=f"Redis at {HOST}:{node.port} may drop keys"):
                await require_redis(redis, settings)
            ask(node, "CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", LIMIT_BYTES)
        assert len(await require_redis(redis, settings)) == PRIMARIES
        await require_room(redis, LIMIT_BYTES, list(names.values()))
        for port, base in names.items():
            with pytest.raises(CommandError, match=f"Redis at {HOST}:{port} has no room"):
                await require_room(redis, LIMIT_BYTES, [base])
    finally:
        await redis.aclose()

"""Several brokers: killed in turn, paused, away all together, and an election that cuts the log."""

import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest
from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from devstack import free_port
from projector.log.topics import LOG_CONFIG
from projector.store.ledger import ledgers
from schemas.diagnosis.part import HEARTBEAT_VALID_MILLISECONDS
from schemas.redis_layout import bucket_prefix
from tests.support.deployment import Deployment, get, wait_for
from tests.support.events import event
from tests.support.health import ready
from tests.support.kafka_cluster import KafkaCluster, running_cluster
from tests.support.refold import assert_right
from tests.support.services import Services
from tests.support.steady import EXIT_UNAVAILABLE, kept_projector, writing
from tests.torture.system.resources import waited_seconds

pytestmark = [pytest.mark.group("brokers"), pytest.mark.long(110)]

# `make torture` has the long form: five rounds, a minute's pause, and everything away for five minutes.
ROUNDS = int(os.environ.get("BROKER_ROUNDS", "1"))
AWAY_SECONDS = float(os.environ.get("BROKER_AWAY_SECONDS", "10"))
PAUSED_SECONDS = float(os.environ.get("BROKER_PAUSED_SECONDS", "5"))
LIMIT_SECONDS = 150 + 90 * ROUNDS + AWAY_SECONDS + PAUSED_SECONDS
# A dead broker is noticed after 2 s, a lost member of the group after 6, and a request to one that hangs after 10.
# Where the group joins anew meanwhile, all of that may come twice.
GOES_ON_SECONDS = 60
# A heartbeat may be a second late, and what it asked the log another.
HEARTBEAT_OVER_SECONDS = HEARTBEAT_VALID_MILLISECONDS / 1000 + 2
# So that a single replica may go on alone, of a log that is kept as it must be.
ALONE = {"min.insync.replicas": "1", **LOG_CONFIG}
STATUS = "/api/v1/operator/status?owner=0x1111"


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    """Three brokers for all tests here."""
    with running_cluster(tmp_path_factory.mktemp("brokers")) as cluster:
        yield cluster


@pytest.fixture
def cluster(brokers: KafkaCluster) -> KafkaCluster:
    """The three brokers, all running."""
    brokers.start()
    return brokers


@pytest.fixture
def deployment(cluster: KafkaCluster, services: Services, tmp_path: Path) -> Iterator[Deployment]:
    """A topic with three replicas, and a prefix of the test's own."""
    own = Services(cluster.bootstrap_servers, services.redis_url, "devstack")
    with Deployment(own, f"brokers-{uuid.uuid4().hex[:12]}", tmp_path, replicas=3) as deployment:
        yield deployment


def goes_on(deployment: Deployment) -> None:
    """Return once every partition has moved."""
    before = deployment.positions()

    def has_moved() -> bool:
        now = deployment.positions()
        return len(now) == deployment.partitions and all(now[name] > before.get(name, 0) for name in now)

    try:
        wait_for(has_moved, f"every partition goes on from {before}", GOES_ON_SECONDS)
    except AssertionError as error:
        error.add_note(
            f"log ends {deployment.log_ends()}, positions {deployment.positions()}\n{deployment.logs()[-3000:]}"
        )
        raise


def assert_accounted(deployment: Deployment) -> None:
    """Hold the ledger of each partition to its position."""
    accounts = ledgers([deployment.hash(bucket_prefix(deployment.prefix, 1, 0) + "positions")])
    assert all(account.is_closed for account in accounts.values())
    assert len(accounts) == deployment.partitions


def wait_until_in_step(cluster: KafkaCluster, topic: str) -> None:
    """Return once every replica has all of its partition."""
    wait_for(lambda: all(len(replicas) == 3 for replicas in cluster.in_sync(topic)), "all replicas are in step")


@pytest.mark.timeout(LIMIT_SECONDS)
def test_whichever_broker_is_killed_the_projector_goes_on(cluster: KafkaCluster, deployment: Deployment) -> None:
    """Leader, controller and coordinator are killed in turn; nothing is lost, and nobody has to do anything."""
    roles: list[Callable[[], int]] = [
        lambda: cluster.leaders(deployment.topic)[0],
        cluster.controller,
        lambda: cluster.coordinator(deployment.topic),
    ]
    with kept_projector(deployment) as kept, writing(deployment) as stream:
        goes_on(deployment)
        for role in roles * ROUNDS:
            number = role()
            cluster.brokers[number].kill()
            goes_on(deployment)
            cluster.start(number)
            wait_until_in_step(cluster, deployment.topic)
        stream.end()
        assert_right(deployment)
    assert_accounted(deployment)
    assert set(kept.exits) <= {0, EXIT_UNAVAILABLE}


@pytest.mark.timeout(LIMIT_SECONDS)
def test_a_broker_that_hangs_and_then_none_at_all(cluster: KafkaCluster, deployment: Deployment) -> None:
    """With a broker paused the others are read on; with all of them away the API answers and says how little it knows.

    The projector recovers from both by itself, without being started again.
    """
    with kept_projector(deployment) as kept, writing(deployment) as stream:
        goes_on(deployment)
        address = deployment.start_api()
        asking = (os.getpid(), deployment.pids[-1])
        paused = cluster.brokers[cluster.leaders(deployment.topic)[0]]
        paused.pause()
        until = time.monotonic() + PAUSED_SECONDS
        goes_on(deployment)
        wait_for(lambda: time.monotonic() > until, "the pause is over", PAUSED_SECONDS + 1)
        paused.resume()
        wait_until_in_step(cluster, deployment.topic)
        cluster.kill()
        answers_while_away(address, asking)
        cluster.start()
        goes_on(deployment)
        stream.end()
        assert_right(deployment)
        wait_for(lambda: get(address, STATUS)[1]["Projection-Lag"] == "0", "the lag is known again")
    assert_accounted(deployment)
    assert kept.exits == [0]


def answers_while_away(address: str, asking: tuple[int, ...]) -> None:
    """Ask the API until the time is over: always answered within a second, and soon with an unknown lag.

    What these processes wait for a core does not count, which others here need more urgently.
    """
    began = time.monotonic()
    while (now := time.monotonic()) - began < AWAY_SECONDS:
        waited = sum(map(waited_seconds, asking))
        status, headers, _ = get(address, STATUS)
        assert status == 200
        assert time.monotonic() - now < 1 + sum(map(waited_seconds, asking)) - waited
        is_known = headers["Projection-Lag"] != "unknown"
        assert not (is_known and now - began > HEARTBEAT_OVER_SECONDS)
    assert not is_known


def test_an_election_that_cuts_the_log_holds_the_partition(
    cluster: KafkaCluster, services: Services, tmp_path: Path
) -> None:
    """When a broker that missed events is made leader, its partition is held and named, and the others go on.

    Both ways: the log now ends before our position, or other records stand where we were.
    """
    own = Services(cluster.bootstrap_servers, services.redis_url, "devstack")
    topic = f"brokers-{uuid.uuid4().hex[:12]}"
    stale, ahead, other = 1, 2, 3
    create(cluster, topic, {0: [ahead, stale], 1: [ahead, stale], 2: [other, ahead]})
    with Deployment(own, topic, tmp_path, replicas=3) as deployment:
        port = free_port()
        with kept_projector(deployment, METRICS_PORT=str(port)) as kept:
            write_and_see(deployment, {0: 5, 1: 5, 2: 5})
            cluster.brokers[stale].stop()
            wait_for(lambda: cluster.in_sync(topic)[:2] == [[ahead], [ahead]], "the follower is out of step")
            write_and_see(deployment, {0: 5, 1: 5})
            reached = deployment.positions()
            cluster.brokers[ahead].kill()
            cluster.start(stale)
            wait_for(lambda: cluster.leaders(topic) == {0: -1, 1: -1, 2: other}, "two partitions have no leader")
            write_and_see(deployment, {2: 5})
            wait_for(lambda: f"{topic}/1 is held: no broker leads it" in ready(port)[1], "the reason is named")
            kept.signal(signal.SIGSTOP)  # so that it sees neither partition before more is written
            allow_unclean_election(cluster, topic)
            wait_for(lambda: cluster.leaders(topic) == {0: stale, 1: stale, 2: other}, "the stale one leads")
            write(deployment, {1: 9})
            kept.signal(signal.SIGCONT)
            wait_for(lambda: f"{topic}/0 is held: the log ends at 5" in ready(port)[1], f"0 is held: {ready(port)}")
            wait_for(lambda: f"{topic}/1 is held: the record before" in ready(port)[1], f"1 is held: {ready(port)}")
            assert ready(port)[0] == 503
            write_and_see(deployment, {2: 5})
            assert deployment.positions() == reached | {"2": 15}
    cluster.start(ahead)
    assert kept.exits == [0]


def test_a_partition_that_nobody_leads_does_not_stop_the_others(
    cluster: KafkaCluster, services: Services, tmp_path: Path
) -> None:
    """A projector that starts while the only broker of a partition is away names it and folds the others.

    So it does when Redis is emptied meanwhile, and then nothing is shown before the end of that partition is known.
    """
    own = Services(cluster.bootstrap_servers, services.redis_url, "devstack")
    topic = f"brokers-{uuid.uuid4().hex[:12]}"
    create(cluster, topic, {0: [1], 1: [2]})
    with Deployment(own, topic, tmp_path, partitions=2, replicas=3) as deployment:
        process = deployment.start_projector()
        write_and_see(deployment, {0: 5, 1: 5})
        deployment.stop(process)
        cluster.brokers[1].kill()
        wait_for(lambda: cluster.leaders(topic) == {0: -1, 1: 2}, "a partition has no leader")
        port = free_port()
        deployment.start_projector(METRICS_PORT=str(port))
        write_and_see(deployment, {1: 5})
        wait_for(lambda: f"{topic}/0 is held: no broker leads it" in ready(port)[1], "the reason is named")
        beat = f"{topic}/0".encode()
        wait_for(lambda: deployment.heartbeats().get(beat, b"").endswith(b" - no-leader"), "readers are told")
        assert f"[-] held: {topic}/0: no-leader; start the brokers" in deployment.command("projector", "doctor", code=1)
        deployment.forget()
        wait_for(lambda: deployment.positions() == {"1": 10}, "what was emptied is filled with what can be read")
        address = deployment.start_api()
        assert get(address, STATUS)[0] == 503  # nobody knows yet what the other partition holds
        cluster.start(1)
        wait_for(lambda: deployment.positions() == {"0": 5, "1": 10}, "the other partition is there again")
        wait_for(lambda: get(address, STATUS)[0] == 200, "the projection is whole")
        write_and_see(deployment, {0: 5})
        wait_for(lambda: ready(port)[0] == 200, "it is ready again")


def create(cluster: KafkaCluster, topic: str, replicas: dict[int, list[int]]) -> None:
    """Create a topic whose partitions live on these brokers, the first of which leads."""
    new = NewTopic(topic, -1, -1, replica_assignments=replicas, topic_configs=ALONE)
    response = cluster.ask(lambda admin: admin.create_topics([new]))
    assert response.topic_errors[0][1] == 0, response


def allow_unclean_election(cluster: KafkaCluster, topic: str) -> None:
    """Let a broker lead that has not all of a partition, when none has."""
    setting = ConfigResource(ConfigResourceType.TOPIC, topic, ALONE | {"unclean.leader.election.enable": "true"})
    cluster.ask(lambda admin: admin.alter_configs([setting]))


def write(deployment: Deployment, counts: dict[int, int]) -> None:
    """Write so many events to each partition."""
    for partition, count in counts.items():
        name = uuid.uuid4().hex
        made = [event(job=f"{name}-{number}") for number in range(count)]
        deployment.publish([(b"k", orjson.dumps(one), []) for one in made], partition)


def write_and_see(deployment: Deployment, counts: dict[int, int]) -> None:
    """Write so many events to each partition, and return once they are applied."""
    before = deployment.positions()
    write(deployment, counts)
    wanted = before | {str(number): before.get(str(number), 0) + count for number, count in counts.items()}
    wait_for(
        lambda: deployment.positions() == wanted, f"{wanted} is reached\n{deployment.logs()[-3000:]}", GOES_ON_SECONDS
    )

"""Projectors that come and go, sleep, hang or are stuck, and a broker that is frozen: the projection ends right."""

import os
import re
import signal
import threading
import time
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random

import pytest

from devstack import Kafka, free_port
from projector.store.ledger import ledgers
from schemas.redis_layout import POSITIONS, bucket_prefix
from tests.support.deployment import Deployment, wait_for
from tests.support.health import ready
from tests.support.hindered import BLOCK, BLOCKED_SECONDS, FREEZE, SILENCE, STUCK_AFTER_SECONDS
from tests.support.processes import Process
from tests.support.refold import assert_right
from tests.support.services import Services
from tests.support.simulated import messages

# How often the second projector comes and goes: 50 times for a long run, a few in `make test`.
STORM_ROUNDS = int(os.environ.get("STORM_ROUNDS", "8"))
STORM_JOBS = 10  # in each piece of what is published meanwhile
STORM_PAUSE_SECONDS = 0.1
SESSION_SECONDS = 6.0  # after which the group takes a silent member's partitions away
BROKER_FROZEN_SECONDS = 20.0  # longer than a request may take, and than a session
RECOVERY_SECONDS = 90.0
ENDED_SECONDS = 10.0
SPARE_SECONDS = STUCK_AFTER_SECONDS + 6.0


def assert_accounted(deployment: Deployment) -> None:
    """Hold the projection against the log, and every ledger against its position."""
    assert_right(deployment)
    accounts = ledgers([deployment.hash(bucket_prefix(deployment.prefix, 1, 0) + POSITIONS)])
    assert accounts
    assert all(account.is_closed for account in accounts.values())


@contextmanager
def reports(deployment: Deployment) -> Iterator[None]:
    """Have jobs report all the time, and no position ever go back."""
    is_over = threading.Event()
    gone_back: list[tuple[dict[str, int], dict[str, int]]] = []

    def run() -> None:
        seed, before = 0, deployment.positions()
        while not is_over.wait(STORM_PAUSE_SECONDS):
            seed += 1
            deployment.publish(messages(seed, STORM_JOBS))
            now = deployment.positions()
            if any(now.get(partition, 0) < position for partition, position in before.items()):
                gone_back.append((before, now))
            before = now

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
    assert gone_back == []


def answers(port: int) -> bool:
    """Tell whether a projector has come so far that it serves its health."""
    return ready(port)[0] > 0


def start_again_if_ended(deployment: Deployment, process: Process) -> None:
    """Do what a supervisor does when a projector ends itself with 75, the only way it may end by itself."""
    if process.poll() is not None:
        assert process.returncode == 75, deployment.logs()[-3000:]
        deployment.start_projector()


def is_stopped(process: Process) -> bool:
    """Tell whether a process stands still."""
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def recoveries(port: int, reason: str) -> float:
    """Return how often a projector read its positions again for a reason."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
        text = response.read().decode()
    found = re.search(rf'projector_recoveries_total{{reason="{reason}"}} ([0-9.]+)', text)
    return float(found[1]) if found else 0.0


@pytest.mark.long(30)
@pytest.mark.timeout(600)
def test_a_storm_of_rebalances(deployment: Deployment) -> None:
    """While a second projector comes and goes, by SIGTERM and SIGKILL, nothing is applied twice or left out."""
    random = Random(5)
    lasting = deployment.start_projector()
    with reports(deployment):
        for number in range(STORM_ROUNDS):
            port = free_port()
            passing = deployment.start_projector(METRICS_PORT=str(port))
            wait_for(partial(answers, port), "it is about to join")
            time.sleep(random.uniform(0, 0.7))
            passing.send_signal((signal.SIGTERM, signal.SIGKILL)[number % 2])
            passing.wait(ENDED_SECONDS)
        start_again_if_ended(deployment, lasting)
    assert_accounted(deployment)


@pytest.fixture
def frozen_kafka(services: Services, tmp_path: Path) -> Iterator[tuple[Deployment, Kafka]]:
    """A deployment on a Kafka of the test's own, which may be frozen."""
    with Kafka(tmp_path / "kafka") as kafka:
        own = Services(kafka.bootstrap_servers, services.redis_url, "devstack")
        with Deployment(own, f"frozen-{zlib.crc32(str(tmp_path).encode()):x}", tmp_path) as deployment:
            yield deployment, kafka


@pytest.mark.long(25)
@pytest.mark.timeout(300)
def test_a_frozen_broker(frozen_kafka: tuple[Deployment, Kafka]) -> None:
    """While the broker is frozen the projector says so, and when it goes on the projector does, without a restart."""
    deployment, kafka = frozen_kafka
    port = free_port()
    process = deployment.start_projector(METRICS_PORT=str(port))
    deployment.publish(messages(seed=1, jobs=200))
    assert_accounted(deployment)
    kafka.pause()
    frozen_at = time.monotonic()
    wait_for(lambda: ready(port)[0] == 503, "the projector is not ready")
    wait_for(lambda: time.monotonic() - frozen_at > BROKER_FROZEN_SECONDS, "the fault has lasted")
    kafka.resume()
    wait_for(lambda: ready(port)[0] == 200, "the projector is ready again", RECOVERY_SECONDS)
    deployment.publish(messages(seed=2, jobs=200))
    assert_accounted(deployment)
    assert process.poll() is None


def hindered(deployment: Deployment) -> tuple[Process, int]:
    """Return a projector that can be hindered, once it has applied something, and its port."""
    deployment.publish(messages(seed=1, jobs=100))
    port = free_port()
    process = deployment.start("tests.support.hindered", METRICS_PORT=str(port))
    deployment.wait_until_applied()
    wait_for(lambda: ready(port)[0] == 200, "it is ready")
    return process, port


def test_a_zombie_writes_nothing(deployment: Deployment) -> None:
    """A projector that was frozen before a write, until another had made it, is refused, and then shares again."""
    zombie, port = hindered(deployment)
    zombie.send_signal(FREEZE)
    deployment.publish(messages(seed=2, jobs=200))
    wait_for(lambda: is_stopped(zombie), "it stops before the write")
    frozen_at = time.monotonic()
    deployment.start_projector()
    deployment.wait_until_applied()
    wait_for(lambda: time.monotonic() - frozen_at > 2 * SESSION_SECONDS, "its session is long over")
    zombie.send_signal(signal.SIGCONT)
    wait_for(lambda: recoveries(port, "PositionMovedError"), "its write is refused")
    assert_accounted(deployment)
    deployment.publish(messages(seed=3, jobs=200))
    assert_accounted(deployment)
    wait_for(lambda: ready(port)[0] == 200, "it is ready again")
    assert zombie.poll() is None


def test_a_blocked_event_loop(deployment: Deployment) -> None:
    """A projector whose event loop was blocked for longer than its session goes on, or ends with 75."""
    process, port = hindered(deployment)
    process.send_signal(BLOCK)
    blocked_at = time.monotonic()
    deployment.publish(messages(seed=2, jobs=100))
    wait_for(lambda: time.monotonic() - blocked_at > BLOCKED_SECONDS, "the fault has lasted")
    wait_for(lambda: process.poll() is not None or ready(port)[0] == 200, "it is ready again, or has ended")
    start_again_if_ended(deployment, process)
    assert_accounted(deployment)


def test_a_consumer_that_is_stuck_ends_the_process(deployment: Deployment) -> None:
    """When records are there, nothing hinders and nothing moves, the process ends with 75; a new one goes on."""
    process, _ = hindered(deployment)
    process.send_signal(SILENCE)
    deployment.publish(messages(seed=2, jobs=100))
    wait_for(lambda: process.poll() is not None, "it ends", 30)
    assert process.returncode == 75
    assert "while nothing hinders it: the consumer is stuck, start a new process" in deployment.logs()
    deployment.start_projector()
    assert_accounted(deployment)


@pytest.mark.parametrize(
    ("hindrance", "reason"),
    [
        # Found by `make torture` with the seeds 20261124 and 5.
        ("no broker", "the membership in the consumer group ended"),
        ("no partition", "no partition was assigned for 4.0 s, and nobody else has any"),
        ("no end", "KafkaTimeoutError: that lasts for 4.0 s, start a new process"),
    ],
)
def test_a_client_of_kafka_that_is_stuck_ends_the_process(deployment: Deployment, hindrance: str, reason: str) -> None:
    """A process that can get nowhere though Kafka is there ends with 75, so that a new one begins afresh."""
    process = deployment.start("tests.support.hindered", hindrance)
    wait_for(lambda: process.poll() is not None, "it ends", 30)
    assert process.returncode == 75
    assert reason in deployment.logs()


@pytest.mark.long(25)
def test_a_spare_projector_waits_while_another_projects(deployment: Deployment) -> None:
    """One that has no partition of its own stays ready as long as somebody projects, and ends when nobody does."""
    other = deployment.start_projector()
    wait_for(deployment.heartbeats, "it projects")
    port = free_port()
    spare = deployment.start("tests.support.hindered", "no partition", METRICS_PORT=str(port))
    wait_for(lambda: ready(port)[0] == 200, "the spare one is ready")
    began = time.monotonic()
    wait_for(lambda: time.monotonic() - began > SPARE_SECONDS, "time has passed", SPARE_SECONDS + 1)
    assert spare.poll() is None
    assert ready(port)[0] == 200
    other.kill()
    wait_for(lambda: spare.poll() is not None, "it ends", 30)
    assert spare.returncode == 75

"""A Redis that is full, locked, frozen, busy or damaged: the running projector names it and mends by itself."""

import json
import resource
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import RedisError

from devstack import Redis as RedisServer
from devstack import free_port
from projector.store.ledger import ledgers
from schemas.identity import JobIdentity, job_member
from schemas.redis_layout import POSITIONS, bucket_prefix
from tests.support.deployment import Deployment, Message, wait_for
from tests.support.events import event
from tests.support.health import ready
from tests.support.processes import Process
from tests.support.refold import assert_right
from tests.support.services import Services
from tests.support.simulated import messages

SETTINGS = {"enable-debug-command": "yes", "appendfsync": "always"}
SOON_SECONDS = 30.0
FROZEN_SECONDS = 15.0  # longer than the projector waits for an answer
JOBS = 150
FLUSHES = 300
FILLER_BYTES = 100_000


@dataclass
class Scene:
    """A projector on a Redis that the test may break; `admin` is a connection that survives what others do not."""

    deployment: Deployment
    server: RedisServer
    admin: Redis
    port: int
    process: Process
    seeds: Iterator[int] = field(default_factory=lambda: count(1))

    def report(self) -> None:
        """Let jobs report something new."""
        self.deployment.publish(messages(seed=next(self.seeds), jobs=JOBS))

    def key(self, name: str) -> str:
        """Return the full name of a key of the projection."""
        return bucket_prefix(self.deployment.prefix, 1, 0) + name

    def names(self, text: str) -> None:
        """Return once the projector says that it is not ready, and why."""
        wait_for(lambda: text in ready(self.port)[1], f"readiness says {text!r}", SOON_SECONDS)
        assert ready(self.port)[0] == 503

    def is_right_again(self) -> None:
        """Hold what is stored against the log, and the ledgers against the positions, by the same process."""
        self.report()
        assert_right(self.deployment)
        accounts = ledgers([self.deployment.hash(self.key(POSITIONS))])
        assert accounts
        assert all(account.is_closed for account in accounts.values())
        wait_for(lambda: ready(self.port)[0] == 200, "ready again", SOON_SECONDS)
        assert self.process.poll() is None


@pytest.fixture
def scene(services: Services, tmp_path: Path) -> Iterator[Scene]:
    """A projector that has applied something already, on a Redis of the test's own."""
    with RedisServer(tmp_path / "redis", settings=SETTINGS) as server:
        own = Services(services.kafka_bootstrap_servers, server.url, "devstack")
        with (
            Deployment(own, f"redis-{uuid.uuid4().hex[:12]}", tmp_path) as deployment,
            Redis.from_url(server.url, single_connection_client=True) as admin,
        ):
            port = free_port()
            scene = Scene(deployment, server, admin, port, deployment.start_projector(METRICS_PORT=str(port)))
            scene.report()
            assert_right(deployment)
            wait_for(lambda: ready(port)[0] == 200, "the projector is ready")
            yield scene


@contextmanager
def running(call: Callable[[], Any]) -> Iterator[None]:
    """Have Redis at work on something meanwhile; its outcome does not matter."""

    def run() -> None:
        with suppress(RedisError):
            call()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def test_full(scene: Scene) -> None:
    """A full Redis stops the projector with the reason, nothing is lost, and with more memory it goes on."""
    scene.admin.config_set("maxmemory", "1mb")
    before = scene.deployment.positions()
    scene.report()
    scene.names("maxmemory")
    assert scene.deployment.positions() == before
    scene.admin.config_set("maxmemory", 0)
    scene.is_right_again()


def test_demoted_to_a_replica(scene: Scene) -> None:
    """While Redis is the replica of something, nothing is applied; when it is a primary again, all is."""
    scene.admin.replicaof("127.0.0.1", 1)
    scene.report()
    scene.names("read only replica")
    scene.admin.replicaof("NO", "ONE")
    scene.is_right_again()


def test_loading(scene: Scene) -> None:
    """While Redis loads its data the projector waits."""
    scene.admin.mset({f"filler-{number}": "x" * 1100 for number in range(300)})
    scene.admin.save()
    scene.admin.config_set("key-load-delay", "10000")
    scene.admin.config_set("loading-process-events-interval-bytes", "1024")
    call: Callable[..., Any] = scene.admin.execute_command
    with running(lambda: call("DEBUG", "RELOAD", "NOSAVE")):
        scene.report()
        scene.names("loading")
    scene.admin.config_set("key-load-delay", "0")
    scene.is_right_again()


def test_without_its_disk(scene: Scene) -> None:
    """A Redis that cannot save takes no writes; when it can again, the projector goes on."""
    obstacle = scene.server.directory / "data" / "dump.rdb"
    obstacle.unlink(missing_ok=True)
    obstacle.mkdir()
    scene.admin.config_set("save", "3600 1")
    scene.admin.bgsave()
    wait_for(lambda: scene.admin.info("persistence")["rdb_last_bgsave_status"] == "err", "saving fails")
    scene.report()
    scene.names("MISCONF")
    obstacle.rmdir()
    scene.admin.bgsave()
    scene.is_right_again()
    scene.admin.config_set("save", "")


def test_with_a_full_disk(scene: Scene) -> None:
    """A Redis whose append-only file cannot grow takes no writes; when there is room, the projector goes on."""
    scene.admin.config_set("appendfsync", "everysec")  # with `always` it ends itself
    files = (scene.server.directory / "data" / "appendonlydir").iterdir()
    _, most = resource.prlimit(scene.server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(scene.server.pid, resource.RLIMIT_FSIZE, (max(file.stat().st_size for file in files), most))
    scene.report()
    scene.names("MISCONF Errors writing to the AOF file")
    resource.prlimit(scene.server.pid, resource.RLIMIT_FSIZE, (most, most))
    scene.is_right_again()
    scene.server.stop()
    scene.server.start()
    scene.is_right_again()


def test_busy(scene: Scene) -> None:
    """While a script of somebody else runs too long the projector waits."""
    scene.admin.config_set("busy-reply-threshold", 50)
    with Redis.from_url(scene.server.url) as other, running(lambda: other.eval("while true do end", 0)):
        scene.report()
        scene.names("BUSY")
        scene.admin.script_kill()
    scene.is_right_again()


def test_scripts_are_flushed_under_load(scene: Scene) -> None:
    """However often Redis forgets the scripts, they are loaded again."""
    with running(scene.report):
        for _ in range(FLUSHES):
            scene.admin.script_flush()
            time.sleep(0.005)
    scene.is_right_again()


def test_a_password_is_set(scene: Scene) -> None:
    """While Redis asks for a password nobody has, the projector says so."""
    scene.admin.config_set("requirepass", "x")
    scene.admin.client_kill_filter(skipme=True, _type="normal")
    scene.report()
    scene.names("uthenticat")
    scene.admin.config_set("requirepass", "")
    scene.is_right_again()


def test_no_connection_is_left(scene: Scene) -> None:
    """While Redis takes no more connections the projector says so."""
    scene.admin.config_set("maxclients", 1)
    scene.admin.client_kill_filter(skipme=True, _type="normal")
    scene.report()
    scene.names("max number of clients")
    scene.admin.config_set("maxclients", 1000)
    scene.is_right_again()


def test_frozen(scene: Scene) -> None:
    """After a Redis that was frozen answers again, every event has been applied once."""
    scene.server.pause()
    frozen_at = time.monotonic()
    scene.report()
    wait_for(lambda: ready(scene.port)[0] == 503, "the projector is not ready", SOON_SECONDS)
    wait_for(lambda: time.monotonic() - frozen_at > FROZEN_SECONDS, "the fault has lasted")
    scene.server.resume()
    scene.is_right_again()


def test_frozen_while_told_to_stop(scene: Scene) -> None:
    """A projector that is told to stop while Redis hangs is gone within ten seconds, and the next one ends right."""
    scene.server.pause()
    scene.report()
    scene.process.send_signal(signal.SIGTERM)
    scene.process.wait(10)
    scene.server.resume()
    scene.process = scene.deployment.start_projector(METRICS_PORT=str(scene.port))
    scene.is_right_again()


@pytest.mark.parametrize("damaged", ["job", "owner", "jobid"])
def test_a_key_of_a_known_job_is_damaged(scene: Scene, damaged: str) -> None:
    """A wrong type under a job that is known holds its partition, changes nothing, and makes no dead letter."""
    job = event("running", time="2020-10-01T02:00:00Z")
    scene.deployment.publish_event(job, partition=0)
    scene.deployment.wait_until_applied()
    member = job_member(JobIdentity("0x1111", "0x2222", "3333", 1))
    key = scene.key({"job": f"job:{member}", "owner": "owner:0x1111", "jobid": "jobid:3333"}[damaged])
    letters = len(scene.deployment.records(f"dlq.{scene.deployment.topic}"))
    scene.admin.rename(key, "aside")
    scene.admin.set(key, "not ours")
    before = scene.deployment.positions()
    # Earlier than what is known, so that the job is indexed anew; others of the same batch must not be written either.
    batch: list[Message] = [
        (b"key", json.dumps(one).encode(), []) for one in (event(owner="0x8888", job="other"), event())
    ]
    scene.deployment.publish(batch, 0)
    scene.deployment.publish_event(event(owner="0x9999", job="elsewhere"), partition=1)
    scene.names(f"{key} has a wrong type")
    wait_for(lambda: scene.deployment.positions()["1"] == before["1"] + 1, "the other partition goes on")
    assert scene.deployment.positions()["0"] == before["0"]
    assert not scene.admin.exists(scene.key("jobid:other"))
    scene.admin.rename("aside", key)
    assert_right(scene.deployment)
    assert len(scene.deployment.records(f"dlq.{scene.deployment.topic}")) == letters
    scene.is_right_again()


def test_another_eviction_policy_is_set(scene: Scene) -> None:
    """A Redis that may drop keys by now makes the projector unready until it may no more."""
    scene.admin.config_set("maxmemory-policy", "allkeys-lru")
    scene.names("may drop keys without an error (maxmemory-policy is allkeys-lru)")
    scene.admin.config_set("maxmemory-policy", "noeviction")
    scene.is_right_again()


def test_keys_were_evicted(scene: Scene) -> None:
    """Keys that Redis dropped are an alarm until the projection was folded again, which is done as the alarm says."""
    used = int(scene.admin.info("memory")["used_memory"])
    scene.admin.config_set("maxmemory-policy", "allkeys-lru")
    scene.admin.config_set("maxmemory", used + FILLER_BYTES // 2)
    scene.admin.set("filler", "x" * FILLER_BYTES)
    wait_for(lambda: int(scene.admin.info("stats")["evicted_keys"]), "something is dropped")
    scene.admin.config_set("maxmemory-policy", "noeviction")
    scene.admin.config_set("maxmemory", 0)
    scene.names("keys without an error, jobs may be missing")
    said = scene.deployment.command("projector", "doctor", code=1)
    assert "[-] redis memory:" in said
    scene.deployment.forget()
    scene.admin.config_resetstat()
    scene.is_right_again()

"""Whatever happens to an operator's command at any of its steps: what is shown is right, and the next run completes it.

Each command of a table is stopped at points of its own, one of the faults of another table is done, and it goes on.
"""

import os
import resource
import signal
import threading
import uuid
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from devstack import Kafka
from projector.assignment.skip import skip
from projector.operating.progress import silent
from projector.operating.running import as_command_errors
from projector.replay.archive.export import export
from projector.replay.archive.importing import import_archive
from projector.replay.archive.stream import ArchiveReader, ArchiveWriter, archive_sink, archive_source
from projector.replay.generations import lease
from projector.replay.generations.drop import drop
from projector.replay.generations.rollback import roll_back
from projector.replay.rebuild.rebuild import Options, rebuild
from projector.replay.verify.comparison import verify
from projector.replay.verify.moment import Options as VerifyOptions
from projector.settings import ProjectorSettings
from projector.store import catalog
from schemas.redis_layout import HEARTBEATS, JOB, LEASE, bucket_prefix, pointer_key
from service.redis import AnyRedis, connect
from tests.support.deployment import Deployment, get, wait_for
from tests.support.events import event, record
from tests.support.redis_process import RedisProcess
from tests.support.services import Services
from tests.support.stopped import Ended, run_stopped

# 1 takes every point of each pair (`make torture` takes every ninth, from one that its seed chooses); 0, as `make test`
# does, one point of a few.
STRIDE: Final = int(os.environ.get("COMMAND_POINT_STRIDE", "0"))
FIRST: Final = int(os.environ.get("COMMAND_POINT_FIRST", "1"))
JOBS: Final = 12
BEFORE: Final = "2021-01-01T00:00:00.000000"
STATUS: Final = "/api/v1/operator/status?owner=0x1111"
MINUTE: Final = 60_000
SHOWN_WITHIN_SECONDS: Final = 40
SMALLEST_FILE_BYTES: Final = 512
AWAY_SECONDS: Final = 4.0


@dataclass
class Scene:
    """A projection under a running projector and API, in a Redis of the test's own."""

    deployment: Deployment
    redis: RedisProcess
    api: str
    archive: Path
    kafka: Kafka | None = None
    # What may be shown, each as status by job.
    right: list[dict[str, int]] = field(default_factory=list)
    faults_done: int = 0

    @property
    def settings(self) -> ProjectorSettings:
        """Settings of a command."""
        return ProjectorSettings.load(self.deployment.environment)

    def run(self, command: str, wanted: int = 0, fault: "Fault | None" = None) -> Ended:
        """Run a command of the table; at the wanted point the fault is done to it."""

        async def main() -> None:
            redis = connect(self.settings)
            try:
                with as_command_errors(self.settings):
                    await COMMANDS[command](self, redis)
            finally:
                await redis.aclose()

        def meanwhile(process: int) -> None:
            if fault:
                fault(self, process)
                self.faults_done += 1

        return run_stopped(main, wanted, meanwhile)

    def shown(self) -> dict[str, int] | None:
        """Return what the API shows, None when it says that it cannot tell; anything else is wrong."""
        status, _, jobs = get(self.api, STATUS)
        assert status in {200, 503}, jobs
        return {job["jobId"]: job["status"] for job in jobs} if status == 200 else None

    def check_shown(self) -> bool:
        """Tell whether something is shown, which must be right."""
        shown = self.shown()
        assert shown is None or shown in self.right, shown
        return shown is not None


Command = Callable[[Scene, AnyRedis], Coroutine[Any, Any, Any]]
Fault = Callable[[Scene, int], None]


async def _verify(scene: Scene, redis: AnyRedis) -> None:
    await verify(scene.settings, redis, VerifyOptions(repair=True), lambda *_: None)


async def _export(scene: Scene, redis: AnyRedis) -> None:
    with archive_sink(str(scene.archive) + ".again", is_compressed=False) as sink:
        await export(redis, scene.deployment.prefix, None, ArchiveWriter(sink), silent)


async def _import(scene: Scene, redis: AnyRedis) -> None:
    with archive_source(str(scene.archive)) as source:
        await import_archive(scene.settings, redis, ArchiveReader(source), None, silent)


async def _drop(scene: Scene, redis: AnyRedis) -> None:
    kept = (await catalog.Catalog(redis, scene.deployment.prefix).read()).kept
    await drop(redis, scene.settings, min(kept, default=1), 0)


COMMANDS: Final[dict[str, Command]] = {
    "rebuild": lambda scene, redis: rebuild(scene.settings, redis, Options()),
    "rollback": lambda scene, redis: roll_back(scene.settings, redis, None, processes=1),
    "drop": _drop,
    "verify": _verify,
    "export": _export,
    "import": _import,
    "expire": lambda scene, redis: catalog.Catalog(redis, scene.deployment.prefix).raise_cutoff(BEFORE),
    "skip": lambda scene, redis: skip(scene.settings, redis, 0, 1),
}


def kill(_: Scene, process: int) -> None:
    """End the command at once."""
    os.kill(process, signal.SIGKILL)


def tell_to_end(_: Scene, process: int) -> None:
    """Tell the command to end, as Ctrl-C does."""
    os.kill(process, signal.SIGINT)


def fill(scene: Scene, _: int) -> None:
    """Let Redis take nothing more, until the command has ended."""
    scene.deployment.redis.config_set("maxmemory", 1)


def flush(scene: Scene, _: int) -> None:
    """Empty Redis."""
    scene.deployment.redis.flushall()


def fail_over(scene: Scene, _: int) -> None:
    """Have Redis be another one, which has not seen anything that the command has done."""
    scene.redis.kill()
    scene.redis.start()


def make_topic_anew(scene: Scene, _: int) -> None:
    """Delete the log and make an empty one."""
    scene.deployment.recreate_topic()


def set_clock_back(scene: Scene, _: int) -> None:
    """Have everything that Redis' clock has told be a minute ahead of it."""
    redis, key = scene.deployment.redis, pointer_key(scene.deployment.prefix)
    held = scene.deployment.hash(key).get(LEASE.encode())
    if held:
        token, end, holder = held.decode().split(" ", 2)
        redis.hset(key, LEASE, f"{token} {int(end) + MINUTE} {holder}")
    beats = bucket_prefix(scene.deployment.prefix, scene.deployment.generation, 0) + HEARTBEATS
    for name, beat in scene.deployment.hash(beats).items():
        milliseconds, rest = beat.decode().split(" ", 1)
        redis.hset(beats, name.decode(), f"{int(milliseconds) + MINUTE} {rest}")


def fill_disk(_: Scene, process: int) -> None:
    """Let the command write nothing more into files."""
    resource.prlimit(process, resource.RLIMIT_FSIZE, (SMALLEST_FILE_BYTES, SMALLEST_FILE_BYTES))


def operate_as_well(scene: Scene, _: int) -> None:
    """Have somebody else build a generation, if that is allowed now."""
    scene.run("rebuild")


def lose_kafka(scene: Scene, _: int) -> None:
    """Have Kafka answer nothing for a while."""
    assert scene.kafka
    scene.kafka.pause()
    threading.Timer(AWAY_SECONDS, scene.kafka.resume).start()


FAULTS: Final[dict[str, Fault]] = {
    "kill": kill,
    "told to end": tell_to_end,
    "Redis full": fill,
    "Redis flushed": flush,
    "failover": fail_over,
    "topic made anew": make_topic_anew,
    "clock back": set_clock_back,
    "disk full": fill_disk,
    "second operator": operate_as_well,
    "Kafka away": lose_kafka,
}
# Of all pairs, those that the suite looks at, each at one point.
CHOSEN: Final = (
    ("rebuild", "Redis full", 40),
    ("rollback", "Redis flushed", 30),
    ("import", "failover", 20),
    ("skip", "kill", 12),
    ("skip", "told to end", 30),
    ("export", "disk full", 6),
)
ALL: Final = tuple((command, fault, 0) for command in COMMANDS for fault in FAULTS)


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka | None]:
    """A Kafka that may be lost, where all faults are done."""
    if STRIDE == 0:
        yield None
        return
    with Kafka(tmp_path_factory.mktemp("kafka")) as kafka:
        yield kafka


@pytest.fixture
def scene(services: Services, kafka: Kafka | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """Two generations of a small log, an archive of it, and a job that somebody has damaged."""
    for module in (catalog, lease):  # so that whoever comes next need not wait for long
        monkeypatch.setattr(module, "LEASE_SECONDS", 1.0)
    monkeypatch.setattr(catalog, "_LEASE_MILLISECONDS", "1000")
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.25)
    with RedisProcess(tmp_path) as redis:
        broker = kafka.bootstrap_servers if kafka else services.kafka_bootstrap_servers
        own = Services(broker, redis.url, services.source)
        with Deployment(own, f"commands-{uuid.uuid4().hex[:12]}", tmp_path, partitions=1) as deployment:
            jobs = [f"job-{number}" for number in range(JOBS)]
            items = [event(stage, job=job, event_id=stage) for stage in ("started", "running") for job in jobs]
            deployment.publish([(b"key", record(0, item).value, []) for item in items], 0)
            deployment.start_projector()
            deployment.wait_until_applied()
            right = [dict.fromkeys(jobs, 3)]
            scene = Scene(deployment, redis, deployment.start_api(), tmp_path / "archive", kafka, right)
            assert scene.run("rebuild").told == ""
            deployment.command("projector", "export", "--output", str(scene.archive))
            deployment.redis.save()
            wait_for(scene.check_shown, "the jobs are shown")
            yield scene


def prepare(scene: Scene, command: str) -> None:
    """Have the command find what it is for."""
    if command == "expire":
        scene.right.append({})
    if command == "verify":
        base = bucket_prefix(scene.deployment.prefix, scene.deployment.generation, 0)
        key = next(scene.deployment.redis.scan_iter(match=base.replace("{", "[{]") + JOB + "*", count=1000))
        scene.deployment.redis.hset(key, "message", "03\t2020-10-01T01:00:00.000000\trunning\tnobody said this")


def check(scene: Scene, command: str, fault: str, wanted: int) -> Ended:
    """Do a fault to a command at a point, and hold what comes of it against what was promised."""
    prepare(scene, command)
    ended = scene.run(command, wanted, FAULTS[fault])
    about = f"{command}, {fault} at point {wanted}"
    assert not ended.fault, f"{about}: {ended.fault}"
    scene.check_shown()
    if fault == "Redis full":
        scene.deployment.redis.config_set("maxmemory", 0)
    again = scene.run(command)
    assert not again.fault, f"{about}, and again: {again.fault}"
    scene.check_shown()
    if fault != "topic made anew":
        wait_for(scene.check_shown, f"{about}: the jobs are shown again", SHOWN_WITHIN_SECONDS)
    return again


@pytest.mark.long(30)
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("command", "fault", "point"), ALL if STRIDE else CHOSEN)
def test_a_fault_at_any_step_of_a_command(scene: Scene, command: str, fault: str, point: int) -> None:
    """What is shown is right or 503, and the next run completes, or says in a sentence why not."""
    if point:
        check(scene, command, fault, point)
        assert scene.faults_done == 1
        return
    points = scene.run(command).points
    for wanted in range(FIRST, points + 1, STRIDE):
        check(scene, command, fault, wanted)
        if fault == "topic made anew":  # once and for all
            break
    assert scene.faults_done

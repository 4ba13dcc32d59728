"""A projection is built anew beside the live one, which then gives way."""

import asyncio
import signal
import time
import uuid
from pathlib import Path

import pytest
from aiokafka.admin import NewPartitions

from devstack import Redis
from projector.store.ledger import ledgers
from schemas.redis_layout import EPOCH, FLOOR, JOB, LEASE, META, SEALED, bucket_prefix, pointer_key
from service.errors import StoppedError
from tests.support.deployment import Deployment, get, wait_for
from tests.support.events import event, record
from tests.support.processes import Process, started
from tests.support.refold import refold, stored
from tests.support.services import Services
from tests.support.streams import streaming
from tests.support.topics import admin
from tests.support.watching import watched

SLOWLY = ("--rate", "150")


def start_rebuild(deployment: Deployment, *options: str) -> Process:
    """Start a rebuild that takes a while."""
    return deployment.start("projector", "rebuild", *SLOWLY, *options)


def wait_until_building(deployment: Deployment, number: int) -> int:
    """Return how far the generation in the making is, once it has begun."""
    key = bucket_prefix(deployment.prefix, number, 0) + "positions"

    def done() -> int:
        return sum(int(value) for name, value in deployment.hash(key).items() if b"#" not in name)

    wait_for(lambda: done() > 0, "the rebuild has begun")
    return done()


@pytest.mark.long(40)
def test_readers_notice_nothing_of_a_rebuild_a_rollback_and_a_drop(folded: Deployment) -> None:
    """Under live events and constant queries no reader sees an error, an older state, a mixture or an empty answer."""
    api = folded.start_api()
    with streaming(folded), watched(api, "0x1111") as watch:
        for expected, command in (
            ("generation 2 is live", ("rebuild", "--processes", "2")),
            ("generation 1 is live again", ("generations", "rollback")),
            ("generation 2 is gone", ("generations", "drop", "2", "--wait", "1")),
            ("generation 2 is live", ("rebuild", "--buckets", "3")),
        ):
            assert expected in folded.command("projector", *command)
            seen = watch.answers
            wait_for(lambda seen=seen: watch.answers > seen + 5, "queries go on")  # type: ignore[misc]
    assert watch.wrong == []
    assert watch.generations == ["1", "2", "1", "2"]
    folded.wait_until_applied()
    whole: dict[str, dict[str, object]] = {}
    for bucket in range(3):
        for key, content in stored(folded, bucket).items():
            whole[key] = whole.get(key, {}) | content
    assert whole == refold(folded)


def test_the_new_generation_has_the_same_ledger_sum_and_no_new_letters(folded: Deployment) -> None:
    """Dead letters are counted again, not written again, and every offset is accounted for."""
    letters = len(folded.records(f"dlq.{folded.topic}"))
    folded.command("projector", "rebuild")
    accounts = ledgers([folded.hash(bucket_prefix(folded.prefix, 2, 0) + "positions")])
    assert sum(account.dead_lettered for account in accounts.values()) == letters == 5
    assert all(account.is_closed for account in accounts.values())
    assert len(folded.records(f"dlq.{folded.topic}")) == letters


def test_only_one_rebuild_at_a_time(folded: Deployment) -> None:
    """The second is refused with the reason, and the first goes on undisturbed."""
    first = start_rebuild(folded)
    wait_until_building(folded, 2)
    assert "rebuild (process" in folded.command("projector", "rebuild", code=1)
    assert first.wait(60) == 0
    assert folded.generation == 2
    assert stored(folded) == refold(folded)


@pytest.mark.long(25)
def test_a_rebuild_that_was_killed_is_resumed(folded: Deployment) -> None:
    """After kill -9 the next rebuild goes on in the same generation, from where it stands."""
    log = folded.directory / "first.log"
    # By Python, as in production: the followers are its children then.
    first = started("projector", ["rebuild", *SLOWLY], folded.environment, log, log)
    wait_until_building(folded, 2)
    time.sleep(0.5)
    followers = children_of(first.pid)
    assert followers
    first.send_signal(signal.SIGKILL)
    first.wait()
    wait_for(lambda: not any(Path(f"/proc/{follower}").exists() for follower in followers), "its processes end too")
    done = wait_until_building(folded, 2)
    second = start_rebuild(folded)
    assert wait_until_building(folded, 2) >= done
    assert second.wait(60) == 0, folded.logs()
    assert folded.generation == 2
    assert stored(folded) == refold(folded)


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_seal_that_was_left_over_is_removed_by_the_projector(folded: Deployment) -> None:
    """When a switch dies between seal and pointer, projectors go on once its lease has ended, without anybody."""
    folded.redis.hset(pointer_key(folded.prefix), mapping={EPOCH: "5", LEASE: "token 1000 a rebuild that died"})
    folded.redis.hset(bucket_prefix(folded.prefix, 1, 0) + META, SEALED, "5")
    folded.publish_event(event("started", job="after"), 0)
    folded.wait_until_applied()
    assert not folded.redis.hexists(bucket_prefix(folded.prefix, 1, 0) + META, SEALED)
    assert stored(folded) == refold(folded)


def test_while_a_switch_is_under_way_projectors_wait(folded: Deployment) -> None:
    """A seal whose lease holds is respected."""
    far = str(int(time.time() * 1000) + 3_000)
    folded.redis.hset(pointer_key(folded.prefix), mapping={EPOCH: "5", LEASE: f"token {far} a rebuild"})
    folded.redis.hset(bucket_prefix(folded.prefix, 1, 0) + META, SEALED, "5")
    before = stored(folded)
    folded.publish_event(event("started", job="after"), 0)
    while time.time() * 1000 < int(far) - 200:
        assert stored(folded) == before
    folded.wait_until_applied()
    assert stored(folded) == refold(folded)


def test_skipped_offsets_are_skipped_again(folded: Deployment) -> None:
    """What a person passed over is passed over by every later fold of the log."""
    folded.publish_event(event("started", job="good"), 0)
    folded.wait_until_applied()
    for process in folded._processes:  # noqa: SLF001 - the projector would apply it at once
        folded.stop(process)
    folded.publish_event(event("started", job="passed over"), 0)
    end = folded.log_ends()[0]
    folded.command("projector", "skip", "--partition", "0", "--to", str(end))
    folded.publish_event(event("running", job="good"), 0)
    folded.start_projector()
    folded.wait_until_applied()
    before = stored(folded)
    assert "live" in folded.command("projector", "rebuild")
    assert stored(folded) == before
    assert b"passed over" not in b"".join(job_id for job_id in identifiers(folded))


def identifiers(deployment: Deployment) -> list[bytes]:
    """Return the job ids that the live generation holds."""
    base = bucket_prefix(deployment.prefix, deployment.generation, 0)
    keys = deployment.redis.scan_iter(match=base.replace("{", "[{]") + JOB + "*", count=1000)
    return [deployment.hash(key)[b"jobId"] for key in keys]


def test_what_has_to_catch_up_has_to_after_a_rebuild_too(folded: Deployment) -> None:
    """A live generation that is being filled again gives way to one that is shown no sooner than it would have been."""
    api = folded.start_api()
    folded.stop(folded._processes[0])  # noqa: SLF001 - the projector would catch up at once
    folded.publish_event(event("started", job="shown before"), 0)
    end = folded.log_ends()[0]
    floor = f"{FLOOR}{folded.topic}/0"
    folded.redis.hset(bucket_prefix(folded.prefix, 1, 0) + META, floor, str(end))
    folded.command("projector", "rebuild")
    assert folded.hash(bucket_prefix(folded.prefix, 2, 0) + META)[floor.encode()] == str(end).encode()
    wait_for(lambda: get(api, "/api/v1/operator/status?owner=0x1111&limit=1")[0] == 503, "the API waits too")
    folded.start_projector()
    wait_for(lambda: get(api, "/api/v1/operator/status?jobId=shown%20before")[0] == 200, "it is shown again")
    assert len(get(api, "/api/v1/operator/status?jobId=shown%20before")[2]) == 1


def test_no_rebuild_without_a_projection(deployment: Deployment) -> None:
    """Before there is anything to rebuild, the command says so."""
    assert "there is no projection to rebuild" in deployment.command("projector", "rebuild", code=1)


async def test_a_rebuild_follows_partitions_that_were_added(folded: Deployment) -> None:
    """Partitions that appear while a rebuild goes on are folded before the switch too."""
    rebuilding = start_rebuild(folded)
    wait_until_building(folded, 2)
    client = await admin(folded)
    try:
        await client.create_partitions({folded.topic: NewPartitions(folded.partitions + 1)})
    finally:
        await client.close()
    await folded.send(event("started", job="elsewhere"), folded.partitions)
    wait_for(lambda: str(folded.partitions) in folded.positions(), "the projector has found the new partition", 60)
    assert await asyncio.to_thread(rebuilding.wait, 60) == 0, folded.logs()
    assert folded.generation == 2
    assert await asyncio.to_thread(stored, folded) == await asyncio.to_thread(refold, folded)


def test_a_rebuild_that_would_not_fit_is_refused(services: Services, tmp_path: Path) -> None:
    """When Redis' memory has no room for a second generation nothing is begun; live events go on."""
    limits = {"maxmemory": "9mb", "maxmemory-policy": "noeviction"}
    with Redis(tmp_path / "redis", settings=limits) as redis:
        own = Services(services.kafka_bootstrap_servers, redis.url, services.source)
        with Deployment(own, f"full-{uuid.uuid4().hex[:12]}", tmp_path) as deployment:
            deployment.publish(
                (b"key", record(0, event(job=f"job-{n}", message="x" * 900)).value, []) for n in range(2500)
            )
            deployment.start_projector()
            deployment.wait_until_applied()
            assert "has no room for another generation" in deployment.command("projector", "rebuild", code=1)
            assert "generation:2" not in str(deployment.hash(pointer_key(deployment.prefix)))
            assert stored(deployment) == refold(deployment)


def test_a_rebuild_that_is_told_to_stop_gives_its_lease_back(folded: Deployment) -> None:
    """SIGTERM ends it with a sentence; the next one need not wait, and goes on from there."""
    first = start_rebuild(folded)
    wait_until_building(folded, 2)
    first.send_signal(signal.SIGTERM)
    assert first.wait(15) == StoppedError.exit_code
    assert "stopped: generation 1 is live; generation 2 is half built, and the next rebuild goes on" in folded.logs()
    assert not folded.redis.hexists(pointer_key(folded.prefix), LEASE)
    assert folded.generation == 1
    assert "generation 2 is live" in folded.command("projector", "rebuild", "--check")
    assert stored(folded) == refold(folded)


def test_a_damaged_generation_is_not_switched_to(folded: Deployment) -> None:
    """With --check a new generation that differs from the log does not go live, and the difference is named."""
    first = start_rebuild(folded)
    wait_until_building(folded, 2)
    first.send_signal(signal.SIGTERM)
    first.wait(15)
    base = bucket_prefix(folded.prefix, 2, 0)
    job = next(folded.redis.scan_iter(match=base.replace("{", "[{]") + JOB + "*", count=10_000))
    folded.redis.hset(job, "started", "2000-01-01T00:00:00.000000Z\tnobody\tnothing\tnowhere/0/0")
    refusal = folded.command("projector", "rebuild", "--check", code=1)
    assert "generation 2 was not switched to" in refusal
    assert "field started" in refusal
    assert folded.generation == 1
    assert stored(folded) == refold(folded)


def test_redis_dies_during_a_rebuild(services: Services, tmp_path: Path) -> None:
    """A Redis that is killed and comes back leaves a rebuild that goes on, or one that says so and is run again."""
    with Redis(tmp_path / "redis", settings={"appendfsync": "always"}) as redis:
        own = Services(services.kafka_bootstrap_servers, redis.url, services.source)
        with Deployment(own, f"dies-{uuid.uuid4().hex[:12]}", tmp_path) as deployment:
            deployment.publish((b"key", record(0, event(job=f"job-{n}")).value, []) for n in range(600))
            deployment.start_projector()
            deployment.wait_until_applied()
            rebuilding = start_rebuild(deployment)
            wait_until_building(deployment, 2)
            redis.kill()
            redis.start()
            if rebuilding.wait(60):
                deployment.command("projector", "rebuild")
            assert deployment.generation == 2
            deployment.publish_event(event("finished", job="job-1"), 0)
            deployment.wait_until_applied()
            assert stored(deployment) == refold(deployment)

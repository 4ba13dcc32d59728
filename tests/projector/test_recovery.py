"""What happens to the projector and to Redis, and that the projection is right again by itself."""

import asyncio
import time
from pathlib import Path
from random import Random

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from devstack import Redis as RedisServer
from devstack import free_port
from schemas.redis_layout import bucket_prefix, pointer_key
from tests.support.deployment import Deployment, wait_for
from tests.support.events import event
from tests.support.health import ready
from tests.support.refold import assert_right
from tests.support.simulated import messages

NOBODY = "127.0.0.1:1"


def test_killed_at_any_moment_it_goes_on_right(deployment: Deployment) -> None:
    """However often and whenever projectors are killed, the projection ends as the log says."""
    random = Random(1)
    deployment.publish(messages(seed=1, jobs=4000))
    for _ in range(5):
        process = deployment.start_projector()
        wait_for(deployment.positions, "something is applied")
        time.sleep(random.uniform(0, 0.3))
        process.kill()
        process.wait()
    deployment.start_projector()
    assert_right(deployment)


def test_sigterm_finishes_the_batch_and_exits_0(deployment: Deployment) -> None:
    """A projector that is told to stop while it works is gone within 10 seconds, cleanly, and loses nothing."""
    deployment.publish(messages(seed=2, jobs=4000))
    process = deployment.start_projector()
    wait_for(deployment.positions, "something is applied")
    began = time.monotonic()
    assert deployment.stop(process) == 0
    assert time.monotonic() - began < 10
    deployment.start_projector()
    assert_right(deployment)


def test_a_flushed_redis_heals_without_a_new_event(deployment: Deployment) -> None:
    """When every key is deleted while nothing happens, the projection is built again within seconds."""
    deployment.publish(messages(seed=3, jobs=200))
    deployment.start_projector()
    assert_right(deployment)
    keys = list(deployment.redis.scan_iter(match=f"{deployment.prefix}:*", count=10_000))
    deployment.redis.delete(*keys)
    wait_for(deployment.positions, "the projection is begun again", 10)
    assert_right(deployment)


def test_lost_writes_are_made_again(deployment: Deployment) -> None:
    """When Redis comes back as it was some batches ago, the missing part is folded again, hidden meanwhile."""
    deployment.publish(messages(seed=4, jobs=100))
    deployment.start_projector()
    assert_right(deployment)
    base = bucket_prefix(deployment.prefix, 1, 0)
    keys = list(deployment.redis.scan_iter(match=f"{deployment.prefix}:*", count=10_000))
    before = {key: deployment.redis.dump(key) for key in keys}
    deployment.publish(messages(seed=5, jobs=100))
    deployment.wait_until_applied()
    reached = deployment.positions()
    pipeline = deployment.redis.pipeline()  # all at once, as a promoted replica would have it
    pipeline.delete(*deployment.redis.scan_iter(match=f"{deployment.prefix}:*", count=10_000))
    for key, value in before.items():
        pipeline.restore(key, 0, value or b"")
    pipeline.execute()
    wait_for(lambda: deployment.positions() == reached, "the lost part is applied again", 20)
    assert_right(deployment)
    floors = {key: int(deployment.redis.hget(base + "meta", f"floor:{deployment.topic}/{key}") or 0) for key in reached}
    assert floors == reached


def test_two_projectors_share_and_take_over(deployment: Deployment) -> None:
    """Two projectors split the partitions; when one is killed the other takes over, and nothing is counted twice."""
    first, _ = deployment.start_projector(), deployment.start_projector()
    deployment.publish(messages(seed=6, jobs=500))
    deployment.wait_until_applied()
    first.kill()
    deployment.publish(messages(seed=7, jobs=500))
    assert_right(deployment)


def test_rivals_in_different_groups_do_no_harm(deployment: Deployment) -> None:
    """Two projectors that both think they own every partition end with the right projection."""
    deployment.start_projector(KAFKA_GROUP_ID="one")
    deployment.start_projector(KAFKA_GROUP_ID="two")
    for seed in range(8, 12):
        deployment.publish(messages(seed=seed, jobs=200))
    assert_right(deployment)


async def add_partitions(deployment: Deployment, count: int) -> None:
    """Give the topic more partitions, so many in all."""
    admin = AIOKafkaAdminClient(bootstrap_servers=deployment.services.kafka_bootstrap_servers)
    await admin.start()
    await admin.create_partitions({deployment.topic: NewPartitions(total_count=count)})
    await admin.close()


def test_partitions_that_are_added_are_read_from_their_beginning(deployment: Deployment) -> None:
    """After the topic got more partitions every event of the new ones is applied, also of jobs in old ones."""
    deployment.start_projector()
    every = list(messages(seed=12, jobs=200))
    half = len(every) // 2
    deployment.publish(every[:half])
    asyncio.run(add_partitions(deployment, 6))
    for number in range(6):
        deployment.publish(every[half + number :: 6], number)
    assert len([end for end in deployment.log_ends().values() if end]) == 6
    assert_right(deployment)


def test_a_position_that_somebody_set_back_passes_nothing_over(deployment: Deployment) -> None:
    """When a position alone was changed or deleted, with jobs above it, all from there is applied again."""
    for number in range(5):
        deployment.publish_event(event(job=f"job-{number}"), partition=0)
    deployment.start_projector()
    deployment.wait_until_applied()
    base, name = bucket_prefix(deployment.prefix, 1, 0), f"{deployment.topic}/0"
    for position in (b"2", b""):
        jobs = list(deployment.redis.scan_iter(match=base.replace("{", "[{]") + "job:*"))
        deleted = [key for key in jobs if deployment.hash(key)[b"jobId"] in {b"job-2", b"job-3"}]
        pipeline = deployment.redis.pipeline()
        pipeline.delete(*deleted)
        pipeline.hset(base + "positions", name, position) if position else pipeline.hdel(base + "positions", name)
        pipeline.execute()
        wait_for(lambda: deployment.positions().get("0") == 5, "it is applied again")
        assert_right(deployment)


def test_a_replaced_record_is_noticed(deployment: Deployment) -> None:
    """When the record before the position is another one than was applied, the partition is held, not read on."""
    deployment.publish_event(event(), partition=0)
    process = deployment.start_projector()
    deployment.wait_until_applied()
    deployment.stop(process)
    positions = bucket_prefix(deployment.prefix, 1, 0) + "positions"
    deployment.redis.hset(positions, f"{deployment.topic}/0#fingerprint", "0:00000000")
    port = free_port()
    deployment.start_projector(METRICS_PORT=str(port))
    status, text = wait_for(lambda: (r := ready(port))[0] == 503 and "held" in r[1] and r, "the partition is held")
    assert status == 503
    assert f"{deployment.topic}/0 is held" in text
    deployment.publish_event(event("finished", event_id="e2", job="elsewhere"), partition=1)
    wait_for(lambda: deployment.positions().get("1") == 1, "the other partitions go on")
    assert deployment.positions()["0"] == 1


def test_a_position_beyond_the_log_is_noticed(deployment: Deployment, tmp_path: Path) -> None:
    """When the log ends before the position the partition is held; once that is mended it goes on by itself."""
    deployment.publish_event(event(), partition=0)
    process = deployment.start_projector()
    deployment.wait_until_applied()
    deployment.stop(process)
    deployment.redis.hset(bucket_prefix(deployment.prefix, 1, 0) + "positions", f"{deployment.topic}/0", "5")
    port = free_port()
    deployment.start_projector(METRICS_PORT=str(port))
    wait_for(lambda: "re-created" in ready(port)[1], "the partition is held with its reason")
    deployment.command("projector", "verify", "--repair", "--trust-log", "--report", str(tmp_path / "report"))
    wait_for(lambda: ready(port)[0] == 200, "the projector is ready again")
    meta = deployment.hash(bucket_prefix(deployment.prefix, 1, 0) + "meta")
    assert meta.get(f"floor:{deployment.topic}/0".encode(), b"1") == b"1"
    assert_right(deployment)


def test_a_wrong_typed_key_is_held_and_named_until_it_is_gone(deployment: Deployment) -> None:
    """A damaged key stops its partition only; no good event becomes a dead letter, and mending lets it go on."""
    process = deployment.start_projector()
    wait_for(lambda: deployment.redis.exists(pointer_key(deployment.prefix)), "the projection is begun")
    deployment.stop(process)
    key = bucket_prefix(deployment.prefix, 1, 0) + "owner:0x1111"
    deployment.redis.set(key, "not ours")
    port = free_port()
    deployment.start_projector(METRICS_PORT=str(port))
    deployment.publish_event(event(), partition=0)
    deployment.publish_event(event(owner="0x9999", job="other"), partition=1)
    wait_for(lambda: "owner:0x1111 has a wrong type" in ready(port)[1], "the key is named")
    wait_for(lambda: deployment.positions().get("1") == 1, "the other partition goes on")
    deployment.redis.delete(key)
    assert_right(deployment)
    assert deployment.records(f"dlq.{deployment.topic}") == []


def test_an_evicting_redis_is_refused(deployment: Deployment, tmp_path: Path) -> None:
    """A Redis that may drop keys is not written to; the sentence says what to set."""
    with RedisServer(tmp_path / "redis", settings={"maxmemory-policy": "allkeys-lru"}) as server:
        said = deployment.command("projector", "run", code=75, REDIS_URL=server.url)
    assert "CONFIG SET maxmemory-policy noeviction" in said


def test_redis_that_dies_and_returns(deployment: Deployment, tmp_path: Path) -> None:
    """A projector outlives its Redis being killed and goes on by itself when it is back."""
    with RedisServer(tmp_path / "redis", settings={"appendfsync": "always"}) as server:
        port = free_port()
        process = deployment.start_projector(REDIS_URL=server.url, METRICS_PORT=str(port))
        wait_for(lambda: ready(port)[0] == 200, "the projector is ready")
        server.kill()
        deployment.publish(messages(seed=13, jobs=50))
        wait_for(lambda: ready(port)[0] == 503, "the projector says that Redis is away")
        server.start()
        wait_for(lambda: ready(port)[0] == 200, "the projector is ready again", 20)
        assert process.poll() is None


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"KAFKA_BOOTSTRAP_SERVERS": NOBODY, "START_TIMEOUT_SECONDS": "1"}, f"Kafka cannot be reached at {NOBODY}"),
        ({"REDIS_URL": f"redis://{NOBODY}/0", "START_TIMEOUT_SECONDS": "1"}, f"Redis cannot be reached at {NOBODY}"),
        ({"KAFKA_TOPIC": "no-such-topic", "START_TIMEOUT_SECONDS": "3"}, "python -m projector topics create"),
    ],
)
def test_a_service_that_is_away_gives_75_and_a_sentence(
    deployment: Deployment, environment: dict[str, str], sentence: str
) -> None:
    """A projector that cannot start says what to start and exits with 75."""
    assert sentence in deployment.command("projector", "run", code=75, **environment)

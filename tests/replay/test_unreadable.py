"""What the live generation has passed is passed by whatever is built beside it, readable or not."""

import asyncio
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devstack import Kafka, free_port
from projector.assignment.gaps import Gap, pass_over
from projector.letters.headers import Decision
from projector.letters.writer import DeadLetterWriter, new_producer
from projector.log.reader import Polled, Reader
from projector.replay.verify.replayed_log import ReplayedLog
from projector.settings import ProjectorSettings
from projector.store.catalog import Catalog
from projector.store.generation import Generation
from schemas.redis_layout import POSITIONS, SKIPPED, bucket_prefix, pointer_key
from service.redis import connect
from tests.support.corruption import corrupt_batch
from tests.support.deployment import Deployment, Message, wait_for
from tests.support.events import event, record
from tests.support.health import ready
from tests.support.record_batches import batch, record_of_zeros, write_batch
from tests.support.refold import stored
from tests.support.services import Services
from tests.support.topics import delete_records

GIBIBYTE = 1 << 30


@pytest.fixture
def damaged_log(services: Services, tmp_path: Path) -> Iterator[tuple[Deployment, Kafka]]:
    """A log whose partition 0 has a batch that cannot be read, at offsets 2 and 3, between two that can."""
    with Kafka(tmp_path / "kafka") as kafka:
        own = Services(kafka.bootstrap_servers, services.redis_url, "devstack")
        with Deployment(own, f"damaged-{uuid.uuid4().hex[:12]}", tmp_path, partitions=2) as deployment:
            for number in range(3):
                deployment.publish(started(f"{number}-first", f"{number}-second"), 0)
            deployment.publish(started("elsewhere"), 1)
            kafka.stop()
            corrupt_batch(kafka, f"{deployment.topic}-0", number=1)
            kafka.start()
            yield deployment, kafka


def started(*jobs: str) -> list[Message]:
    """Return the records that say so of jobs."""
    return [(b"key", record(0, event(job=job)).value, []) for job in jobs]


@pytest.mark.long(30)
def test_what_cannot_be_read_stops_neither_rebuild_nor_rollback(damaged_log: tuple[Deployment, Kafka]) -> None:
    """Before it was passed over by command it lies beyond what is rebuilt, and after that it is passed over again.

    What was applied before it became unreadable is told to be lost, and stays live.
    """
    damaged, kafka = damaged_log
    port = free_port()
    damaged.start_projector(METRICS_PORT=str(port))
    wait_for(lambda: "the record at 2 cannot be read" in ready(port)[1], "the place is named")
    wait_for(lambda: damaged.positions() == {"0": 2, "1": 1}, "the rest is applied")
    before = stored(damaged)
    assert "generation 2 is live" in damaged.command("projector", "rebuild")
    assert stored(damaged) == before
    damaged.command("projector", "skip", "--partition", "0", "--to", "4")
    damaged.wait_until_applied()
    whole = stored(damaged)
    assert {"jobid:0-first", "jobid:2-second", "jobid:elsewhere"} <= whole.keys()
    assert "jobid:1-first" not in whole
    for number, command in (
        (3, ("rebuild", "--check")),
        (1, ("generations", "rollback", "1")),
        (4, ("rebuild", "--buckets", "2")),
        (1, ("generations", "rollback", "1")),
    ):
        assert f"generation {number} is live" in damaged.command("projector", *command)
        if number != 4:
            assert stored(damaged) == whole
    damaged.publish(started("after"), 0)
    damaged.wait_until_applied()
    whole = stored(damaged)
    assert "jobid:after" in whole
    kafka.stop()
    corrupt_batch(kafka, f"{damaged.topic}-0", number=0)
    kafka.start()
    told = damaged.command("projector", "rebuild", code=1)
    assert "the record at 0 cannot be read" in told
    assert "the live generation has applied it, which is the last that is left of it: keep that" in told
    assert stored(damaged) == whole


async def test_what_is_gone_from_the_log_stops_no_rollback(deployment: Deployment) -> None:
    """A range that was deleted before anybody applied it, and passed over by command, is passed over again."""
    await deployment.write(started("first", "second"), 0)
    projector = deployment.start_projector()
    await asyncio.to_thread(deployment.wait_until_applied)
    await asyncio.to_thread(deployment.command, "projector", "rebuild")
    deployment.stop(projector)
    await deployment.write(started("gone", "last"), 0)
    await delete_records(deployment, 0, 3)
    deployment.command("projector", "skip", "--to-log-start")
    deployment.start_projector()
    await asyncio.to_thread(deployment.wait_until_applied)
    whole = await asyncio.to_thread(stored, deployment)
    for _ in range(3):
        await asyncio.to_thread(deployment.command, "projector", "generations", "rollback")
        assert await asyncio.to_thread(stored, deployment) == whole
    assert "jobid:gone" not in whole


def test_a_decision_that_was_only_noted_counts(deployment: Deployment) -> None:
    """When `skip` is killed behind its note, projectors pass the range over, and so does every later fold."""
    deployment.publish(started("first"), 0)
    projector = deployment.start_projector()
    deployment.wait_until_applied()
    deployment.stop(projector)
    deployment.publish(started("passed over", "last"), 0)
    deployment.redis.hset(pointer_key(deployment.prefix), f"{SKIPPED}{deployment.topic}/0/1", "2")
    assert "generation 2 is live" in deployment.command("projector", "rebuild")
    assert deployment.positions() == {"0": 1}
    deployment.start_projector()
    deployment.wait_until_applied()
    whole = stored(deployment)
    assert {name for name in whole if name.startswith("jobid:")} == {"jobid:first", "jobid:last"}
    deployment.command("projector", "rebuild")
    assert stored(deployment) == whole
    deployment.command("projector", "verify")


async def test_a_note_says_what_was_passed_over_in_fact(deployment: Deployment) -> None:
    """What a projector has applied of a range before the position was moved is folded by every later fold."""
    settings = ProjectorSettings.load(deployment.environment)
    await deployment.write(started("first", "second", "third"), 0)
    deployment.start_projector()
    await asyncio.to_thread(deployment.wait_until_applied)
    name = f"{deployment.topic}/0"
    redis, producer = connect(settings), new_producer(settings)
    await producer.start()
    letters = DeadLetterWriter(producer, settings.dead_letter_topic)
    try:
        catalog = Catalog(redis, deployment.prefix)
        live = (await catalog.read()).live
        assert live
        generation = Generation(redis, deployment.prefix, live)
        await deployment.write(started("fourth"), 0)
        await asyncio.to_thread(deployment.wait_until_applied)
        await pass_over(Gap(name, 2, 6), generation, catalog, letters, Decision.COMMAND)
        assert (await catalog.read()).skipped == {name: {4: 6}}
    finally:
        await letters.stop()
        await redis.aclose()


async def test_verify_expands_no_more_than_a_projector(deployment: Deployment) -> None:
    """A batch that becomes 1 GB costs nothing beyond the position, and is a sentence before it."""
    await deployment.send(event(job="before"), 0)
    await write_batch(
        deployment.services.kafka_bootstrap_servers, deployment.topic, 0, batch(record_of_zeros(GIBIBYTE), "zstd")
    )
    process = deployment.start_projector()
    wait_for(lambda: deployment.positions().get("0") == 1, "what can be read is applied")
    deployment.stop(process)
    assert "everything equal" in deployment.command("projector", "verify")
    positions = bucket_prefix(deployment.prefix, 1, 0) + POSITIONS
    deployment.redis.hset(positions, f"{deployment.topic}/0", "2")
    assert "/0: the record at 1 cannot be read" in deployment.command("projector", "verify", code=1)


async def test_what_cannot_be_read_slows_nothing_behind_it(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it was passed over, the rest of the log is read as any other: many records a time."""
    await deployment.send(event(job="before"), 0)
    await write_batch(
        deployment.services.kafka_bootstrap_servers, deployment.topic, 0, batch(record_of_zeros(GIBIBYTE), "zstd")
    )
    behind = [message for number in range(1000) for message in started(f"{number}")]
    await deployment.write(behind, 0)
    polls = 0
    poll = Reader.poll

    async def counted(reader: Reader, *arguments: Any) -> Polled:
        nonlocal polls
        polls += 1
        return await poll(reader, *arguments)

    monkeypatch.setattr(Reader, "poll", counted)
    log = ReplayedLog(ProjectorSettings.load(deployment.environment), {})
    await log.open()
    try:
        name = f"{deployment.topic}/0"
        read = [records async for _, records in log.advance({name: 1002}, {name: {1: 2}})]
    finally:
        await log.stop()
    assert sum(map(len, read)) == 1001
    assert 0 < polls < 100

"""What happens to the log, and that it is noticed, named, and mended by the command that is named."""

import asyncio
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewTopic

from devstack import Kafka, free_port
from projector.letters.headers import HEADER_PREFIX
from projector.letters.writer import write_letter
from projector.store.ledger import ledgers
from schemas.redis_layout import bucket_prefix
from tests.support.corruption import corrupt_batch
from tests.support.deployment import Deployment, Message, wait_for
from tests.support.events import event
from tests.support.health import ready
from tests.support.services import Services
from tests.support.topics import admin, delete_records


async def test_events_that_are_gone_are_named_and_skipped_by_command(deployment: Deployment) -> None:
    """When the log begins after our position it is held until a person accepts the loss."""
    for number in range(5):
        await deployment.send(event(job=f"job-{number}"), 0)
    await deployment.send(event(job="elsewhere"), 1)
    await delete_records(deployment, 0, 3)
    port = free_port()
    deployment.start_projector(METRICS_PORT=str(port))
    wait_for(lambda: "events 0 to 2 are gone" in ready(port)[1], "the lost range is named")
    wait_for(lambda: deployment.positions().get("1") == 1, "the other partition goes on")
    assert "0" not in deployment.positions()
    said = deployment.command("projector", "skip", "--to-log-start")
    assert f"{deployment.topic}/0: skipped 3 offsets, 0 to 2" in said
    wait_for(lambda: deployment.positions()["0"] == 5, "the partition goes on by itself")
    account = ledgers([deployment.hash(bucket_prefix(deployment.prefix, 1, 0) + "positions")])[f"{deployment.topic}/0"]
    assert (account.applied, account.dead_lettered, account.is_closed) == (2, 3, True)
    assert wait_for(lambda: ready(port)[0] == 200, "ready again")


async def test_a_truncated_log_can_be_accepted_beforehand(deployment: Deployment) -> None:
    """With KAFKA_ACCEPT_TRUNCATED_LOG the projector goes on from the log's start; letter, ledger and doctor tell."""
    for number in range(4):
        await deployment.send(event(job=f"job-{number}"), 0)
    await delete_records(deployment, 0, 2)
    deployment.start_projector(KAFKA_ACCEPT_TRUNCATED_LOG="true")
    wait_for(lambda: deployment.positions().get("0") == 4, "all that is left is applied")
    account = ledgers([deployment.hash(bucket_prefix(deployment.prefix, 1, 0) + "positions")])[f"{deployment.topic}/0"]
    assert (account.applied, account.dead_lettered, account.is_closed) == (2, 2, True)
    assert f"{deployment.topic}/0/0 gone-from-log" in deployment.command("projector", "dead-letters", "list")
    wait_for(deployment.heartbeats, "the projector has confirmed where it stands")
    assert f"skipped: {deployment.topic}/0: offsets 0 to 1" in deployment.command("projector", "doctor")
    deployment.command("projector", "verify")


async def test_aborted_transactions_are_never_shown(deployment: Deployment) -> None:
    """Events of an aborted transaction change nothing, those of a committed one do, and the markers are passed."""
    deployment.start_projector()
    producer = AIOKafkaProducer(
        bootstrap_servers=deployment.services.kafka_bootstrap_servers, transactional_id=deployment.topic
    )
    await producer.start()
    for job, ends in (("aborted", producer.abort_transaction), ("committed", producer.commit_transaction)):
        await producer.begin_transaction()
        await deployment.send(event(job=job), 0, producer)
        await ends()
    await producer.stop()
    wait_for(lambda: deployment.positions().get("0") == 4, "two events and two markers are passed")
    assert list(deployment.redis.scan_iter(match=f"{deployment.prefix}:*jobid:*")) == [
        f"{bucket_prefix(deployment.prefix, 1, 0)}jobid:committed".encode()
    ]
    account = ledgers([deployment.hash(bucket_prefix(deployment.prefix, 1, 0) + "positions")])[f"{deployment.topic}/0"]
    assert (account.applied, account.no_record, account.is_closed) == (1, 3, True)


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_every_codec_is_read(deployment: Deployment, codec: str) -> None:
    """Whatever a producer compresses with, its events are applied."""
    deployment.start_projector()
    producer = AIOKafkaProducer(bootstrap_servers=deployment.services.kafka_bootstrap_servers, compression_type=codec)
    await producer.start()
    await deployment.send(event(job=codec), 0, producer)
    await producer.stop()
    wait_for(lambda: deployment.positions().get("0") == 1, "the event is applied")
    assert deployment.redis.exists(bucket_prefix(deployment.prefix, 1, 0) + f"jobid:{codec}")


async def test_while_the_dead_letter_topic_is_away_only_its_partition_waits(deployment: Deployment) -> None:
    """The position never passes a bad record whose letter is not in Kafka; other partitions go on, and it heals."""
    port = free_port()
    deployment.start_projector(METRICS_PORT=str(port))
    wait_for(lambda: ready(port)[0] == 200, "ready")
    client = await admin(deployment)
    await client.delete_topics([f"dlq.{deployment.topic}"])
    await deployment.write([(b"k", b"rubbish", [])], 0)
    wait_for(lambda: "dead letters of" in ready(port)[1], "the reason is named")
    await deployment.send(event(), 1)
    wait_for(lambda: deployment.positions().get("1") == 1, "the other partition goes on")
    assert "0" not in deployment.positions()
    await client.create_topics([NewTopic(f"dlq.{deployment.topic}", 1, 1)])
    await client.close()
    wait_for(lambda: deployment.positions().get("0") == 1, "the letter is written and the partition goes on", 40)
    letters = await deployment.read(f"dlq.{deployment.topic}")
    assert {dict(letter.headers)[HEADER_PREFIX + "offset"] for letter in letters} == {b"0"}
    assert {letter.value for letter in letters} == {b"rubbish"}


async def test_a_record_without_key_and_value_becomes_a_letter(deployment: Deployment) -> None:
    """Whatever a producer can write reaches the dead letters as it was: nulls, odd headers, too much."""
    odd: list[Message] = [
        (None, None, []),
        (b"", None, [("a", None), ("a", b"\xff")]),
        (None, b"", [("", b"")]),
        (b"\xff\x00", b"\xff", [("ce_specversion", b"\xff")]),
        (None, b"x" * (256 * 1024 + 1), []),
    ]
    producer = AIOKafkaProducer(bootstrap_servers=deployment.services.kafka_bootstrap_servers, max_request_size=2 << 20)
    await producer.start()
    for key, value, headers in odd:
        await write_letter(producer, deployment.topic, key, value, headers)
    await producer.stop()
    deployment.start_projector()

    def written() -> list[Any] | None:
        letters = deployment.records(f"dlq.{deployment.topic}")
        return letters if len(letters) >= len(odd) else None

    letters = await asyncio.to_thread(wait_for, written, "every letter")
    own = [
        (letter.key, letter.value, [header for header in letter.headers if not header[0].startswith(HEADER_PREFIX)])
        for letter in letters
    ]
    assert sorted(own, key=repr) == sorted(odd, key=repr)


@pytest.fixture
def mortal_deployment(services: Services, tmp_path: Path) -> Iterator[tuple[Deployment, Kafka]]:
    """A deployment on a Kafka of the test's own, which may be stopped and damaged."""
    with Kafka(tmp_path / "kafka") as kafka:
        own = Services(kafka.bootstrap_servers, services.redis_url, "devstack")
        name = f"mortal-{zlib.crc32(str(tmp_path).encode()):x}"
        with Deployment(own, name, tmp_path) as deployment:
            yield deployment, kafka


def test_a_corrupt_batch_holds_its_partition_behind_the_good_prefix(
    mortal_deployment: tuple[Deployment, Kafka],
) -> None:
    """What lies before a corrupt batch is applied, the other partitions go on, and a command passes the batch."""
    deployment, kafka = mortal_deployment
    for partition in (0, 1):
        for number in range(3):
            deployment.publish_event(event(job=f"job-{partition}-{number}"), partition)
    kafka.stop()
    corrupt_batch(kafka, f"{deployment.topic}-0", number=1)
    kafka.start()
    port = free_port()
    deployment.start_projector(METRICS_PORT=str(port))
    wait_for(lambda: "the record at 1 cannot be read" in ready(port)[1], "the place is named")
    wait_for(lambda: deployment.positions() == {"0": 1, "1": 3}, "the prefix and the other partition are applied")
    beat = f"{deployment.topic}/0".encode()
    wait_for(lambda: deployment.heartbeats().get(beat, b"").endswith(b" 3 unreadable"), "readers are told")
    deployment.command("projector", "skip", "--partition", "0", "--to", "2")
    wait_for(lambda: deployment.positions() == {"0": 3, "1": 3}, "the rest is applied")
    (letter,) = deployment.records(f"dlq.{deployment.topic}")
    assert dict(letter.headers)[HEADER_PREFIX + "exception.message"] == b"offsets 1 to 1 were skipped by command"


def test_a_topic_that_was_created_again_is_not_read_on(mortal_deployment: tuple[Deployment, Kafka]) -> None:
    """A new topic under the old name, longer than our position, is another log: held, never read from the middle."""
    deployment, _ = mortal_deployment
    for number in range(2):
        deployment.publish_event(event(job=f"job-{number}"), 0)
    port = free_port()
    deployment.start_projector(METRICS_PORT=str(port))
    deployment.wait_until_applied()
    before = deployment.positions()
    deployment.recreate_topic()
    for number in range(5):
        deployment.publish_event(event(job=f"new-{number}"), 0)
    wait_for(lambda: "re-created" in ready(port)[1], "the partition is held")
    assert deployment.positions() == before
    assert not deployment.redis.exists(bucket_prefix(deployment.prefix, 1, 0) + "jobid:new-3")

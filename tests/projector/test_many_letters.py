"""Very many records that are refused at once, and a dead-letter topic that takes less than the log: a real Kafka."""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from projector.errors import DeadLetterError
from projector.fold.batch import MAX_STEP_JOBS
from projector.fold.record import RefusedRecord
from projector.letters import sending
from projector.letters.headers import HEADER_PREFIX
from projector.letters.sending import LETTERS_AT_ONCE, Sender
from projector.letters.writer import DeadLetterWriter, new_producer
from projector.settings import ProjectorSettings
from schemas.decode import Reason
from tests.support.services import Services
from tests.support.topics import create_topic, read_topic
from tests.support.waiting import until

BURST: Final = 20_000
LEAST_LETTERS_A_SECOND: Final = 500  # of some thousands, on a machine that others use too
SMALL_BYTES: Final = 20_000
LARGER_BYTES: Final = 100_000


@dataclass
class BadRecord:
    """A record of the log."""

    partition: int
    offset: int
    value: bytes | None
    topic: str = "log"
    timestamp: int = 0
    key: bytes | None = b"key"
    headers: Sequence[tuple[str, bytes | None]] = field(default_factory=list)


def refused(partition: int, offset: int, size: int = 300) -> RefusedRecord:
    """Return a record that nobody understands; it does not get smaller when it is compressed."""
    value = b"".join(uuid.uuid4().bytes for _ in range(size // 16))
    return RefusedRecord(BadRecord(partition, offset, value), Reason.NOT_JSON, "it is no JSON")


@dataclass
class Scene:
    """A writer of letters and its topic."""

    writer: DeadLetterWriter
    topic: str
    address: str

    async def places(self) -> Counter[tuple[int, int]]:
        """Return how many letters there are about each place of the log."""
        letters = await read_topic(self.address, self.topic)
        about = [dict(letter.headers) for letter in letters]
        return Counter(
            (int(names[HEADER_PREFIX + "partition"]), int(names[HEADER_PREFIX + "offset"])) for names in about
        )

    async def take(self, size_bytes: int) -> None:
        """Have the topic take batches of this size."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.address)
        await admin.start()
        try:
            config = {"max.message.bytes": str(size_bytes)}
            await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, self.topic, config)])
        finally:
            await admin.close()


@pytest.fixture
async def scene(services: Services) -> AsyncIterator[Scene]:
    """A topic that takes batches of SMALL_BYTES only, made by hand."""
    address, topic = services.kafka_bootstrap_servers, f"letters-{uuid.uuid4().hex[:12]}"
    await create_topic(address, topic, {"max.message.bytes": str(SMALL_BYTES)})
    producer = new_producer(ProjectorSettings.load({"KAFKA_BOOTSTRAP_SERVERS": address}))
    await producer.start()
    writer = DeadLetterWriter(producer, topic)
    yield Scene(writer, topic, address)
    await writer.stop()


async def test_a_burst_of_refused_records_passes(scene: Scene) -> None:
    """However many records are refused at once, their letters are written, once each and by the thousand."""
    await scene.take(1_000_000)
    began = time.monotonic()
    for first in range(0, BURST, MAX_STEP_JOBS):
        await scene.writer.deliver([refused(0, offset) for offset in range(first, first + MAX_STEP_JOBS)])
    rate = BURST / (time.monotonic() - began)
    assert rate > LEAST_LETTERS_A_SECOND
    assert await scene.places() == {(0, offset): 1 for offset in range(BURST)}


async def test_letters_that_are_too_much_together_go_one_by_one(scene: Scene) -> None:
    """A dead-letter topic may take smaller batches than we would send: what fits alone is written."""
    await scene.writer.deliver([refused(0, offset, 2_000) for offset in range(100)])
    assert await scene.places() == {(0, offset): 1 for offset in range(100)}


async def test_only_what_kafka_refuses_is_tried_again(scene: Scene) -> None:
    """A letter that the topic does not take holds its partition alone, and no other letter is written a second time."""
    batch = [refused(offset % 2, offset, 1_000) for offset in range(20)]
    batch += [refused(2, 20, SMALL_BYTES), refused(2, 21), refused(2, 22, SMALL_BYTES)]
    for _ in range(3):
        with pytest.raises(DeadLetterError) as error:
            await scene.writer.deliver(batch)
        assert error.value.partitions == {"log/2"}
        assert not scene.writer.is_back()
    assert await scene.places() == {(offset % 2, offset): 1 for offset in range(20)} | {(2, 21): 1}

    async def is_back() -> bool:
        return scene.writer.is_back()

    await scene.take(LARGER_BYTES)
    await until(is_back, "the one that failed is written")
    await scene.writer.deliver(batch)
    assert await scene.places() == {(one.record.partition, one.record.offset): 1 for one in batch}


async def test_a_letter_that_was_given_up_is_not_sent_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """When nothing is acknowledged no more letters are tried, and those on their way are waited for the next time."""
    monkeypatch.setattr(sending, "STALL_SECONDS", 0.05)
    written: list[RefusedRecord] = []
    is_back = asyncio.Event()

    async def write(one: RefusedRecord) -> None:
        written.append(one)
        await is_back.wait()

    sender = Sender(write)
    letters = [refused(0, offset) for offset in range(LETTERS_AT_ONCE + 1)]
    failed = await sender.send(letters)
    assert [one for one, _ in failed] == written == letters[:-1]
    is_back.set()
    assert await sender.send(letters) == []
    assert written == letters

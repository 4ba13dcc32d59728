"""A real Kafka for the worker's tests: a shared one, and one that a test may kill."""

import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from devstack import Kafka
from tests.support.services import Services
from worker.event import ReportedJob

COMMAND_LIMIT_SECONDS = 60.0
PARTITIONS = 3

CreateTopic = Callable[..., Awaitable[None]]
ReadTopic = Callable[[str, str], Awaitable[Sequence[Any]]]
RunWorker = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def job() -> ReportedJob:
    """The contract's example job."""
    return ReportedJob("0x1111", "0x2222", "3333", 1, "/workers/gpu-7")


@pytest.fixture(scope="session")
def kafka(services: Services) -> str:
    """Where the shared Kafka is."""
    return services.kafka_bootstrap_servers


@pytest.fixture
async def topic(kafka: str, create_topic: CreateTopic) -> str:
    """A topic of the test's own in the shared Kafka."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    await create_topic(kafka, name)
    return name


@pytest.fixture(scope="session")
def kafka_to_break(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A Kafka that tests may kill and start again."""
    with Kafka(tmp_path_factory.mktemp("kafka")) as server:
        yield server


@pytest.fixture
def mortal_kafka(kafka_to_break: Kafka) -> Iterator[Kafka]:
    """A running Kafka that the test may kill, pause and start again."""
    kafka_to_break.start()
    yield kafka_to_break
    if kafka_to_break.is_running:
        kafka_to_break.resume()


@pytest.fixture
async def mortal_topic(mortal_kafka: Kafka, create_topic: CreateTopic) -> str:
    """A topic of the test's own in the Kafka that may be killed."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    await create_topic(mortal_kafka.bootstrap_servers, name)
    return name


@pytest.fixture(scope="session")
def create_topic() -> CreateTopic:
    """Return what creates a topic: Kafka's address, the name, and settings if any."""

    async def create(address: str, name: str, settings: Mapping[str, str] | None = None) -> None:
        async with _admin(address) as admin:
            config = {"message.timestamp.type": "LogAppendTime", **(settings or {})}
            response = await admin.create_topics([NewTopic(name, PARTITIONS, 1, topic_configs=config)])
            assert response.topic_errors[0][1] == 0, response

    return create


@pytest.fixture(scope="session")
def read_topic() -> ReadTopic:
    """Return what reads every record of a topic, partition by partition: Kafka's address and the name."""

    async def read(address: str, name: str) -> Sequence[Any]:
        partitions = [TopicPartition(name, number) for number in range(PARTITIONS)]
        consumer = AIOKafkaConsumer(bootstrap_servers=address, auto_offset_reset="earliest")
        await consumer.start()
        try:
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            records: list[Any] = []
            for partition in partitions:
                while await consumer.position(partition) < ends[partition]:
                    records += (await consumer.getmany(partition, timeout_ms=500)).get(partition, [])
            return records
        finally:
            await consumer.stop()

    return read


@pytest.fixture(scope="session")
def run_worker() -> RunWorker:
    """Return what runs `python -m worker` to its end."""

    def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "worker", *arguments],
            cwd=Path(__file__).parents[2],
            env={"PATH": "", "START_TIMEOUT_SECONDS": "5", **environment},
            capture_output=True,
            text=True,
            timeout=COMMAND_LIMIT_SECONDS,
            check=False,
        )

    return run


@asynccontextmanager
async def _admin(address: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()

"""A real Kafka for the worker's tests: a shared one, and one that a test may kill."""

import uuid
from collections.abc import Iterator

import pytest

from devstack import Kafka
from operator_status.event import ReportedJob
from tests.support.services import Services
from tests.support.topics import create_topic


@pytest.fixture
def job() -> ReportedJob:
    """The contract's example job."""
    return ReportedJob("0x1111", "0x2222", "3333", 1, "/workers/gpu-7")


@pytest.fixture(scope="session")
def kafka(services: Services) -> str:
    """Where the shared Kafka is."""
    return services.kafka_bootstrap_servers


@pytest.fixture
async def topic(kafka: str) -> str:
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
async def mortal_topic(mortal_kafka: Kafka) -> str:
    """A topic of the test's own in the Kafka that may be killed."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    await create_topic(mortal_kafka.bootstrap_servers, name)
    return name

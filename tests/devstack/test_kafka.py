"""A real Kafka: it starts, survives, and can stand behind a proxy."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient

from devstack import DevstackError, Kafka, free_port
from devstack.kafka_probe import knows_a_broker
from devstack.ports import LOCALHOST

pytestmark = [pytest.mark.group("devstack kafka"), pytest.mark.server, pytest.mark.long(15)]

TOPIC = TopicPartition("jobs", 0)
CONSUME_LIMIT_SECONDS = 15.0


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """Start one Kafka for this file."""
    with Kafka(tmp_path_factory.mktemp("kafka")) as started:
        yield started


async def write(server: Kafka, value: bytes) -> None:
    """Make the topic and write one record."""
    admin = AIOKafkaAdminClient(bootstrap_servers=server.bootstrap_servers)
    await admin.start()
    await admin.create_topics([NewTopic(TOPIC.topic, 1, 1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=server.bootstrap_servers) as producer:
        await producer.send_and_wait(TOPIC.topic, value)


async def read(server: Kafka) -> bytes | None:
    """Return the value of the oldest record."""
    async with AIOKafkaConsumer(bootstrap_servers=server.bootstrap_servers, auto_offset_reset="earliest") as consumer:
        consumer.assign([TOPIC])
        record = await asyncio.wait_for(consumer.getone(), CONSUME_LIMIT_SECONDS)
        value: bytes | None = record.value
        return value


async def advertised_port(server: Kafka) -> int:
    """Ask the broker itself where it says that it is."""
    client = AIOKafkaClient(bootstrap_servers=f"{LOCALHOST}:{server.port}")
    await client.bootstrap()
    (broker,) = client.cluster.brokers()
    await client.close()
    return int(broker.port)


def test_data_and_port_survive_stop_and_kill(kafka: Kafka) -> None:
    """A record that was written is there after stop() and after kill(), at the same address."""
    asyncio.run(write(kafka, b"started"))
    for end in (kafka.stop, kafka.kill):
        end()
        assert not kafka.is_running
        assert not knows_a_broker(LOCALHOST, kafka.port)
        kafka.start()
        assert asyncio.run(read(kafka)) == b"started"


def test_a_proxy_can_be_advertised(kafka: Kafka) -> None:
    """Kafka sends its clients to the port of a proxy when it is given one."""
    kafka.stop()
    kafka.advertised_port = free_port()
    kafka.start()
    assert kafka.bootstrap_servers == f"{LOCALHOST}:{kafka.advertised_port}"
    assert asyncio.run(advertised_port(kafka)) == kafka.advertised_port


def test_a_broker_that_cannot_start_shows_its_log(tmp_path: Path) -> None:
    """The error of a broker that dies at its start has the log's last lines and the log's path."""
    server = Kafka(tmp_path, settings={"node.id": "nonsense"})
    with pytest.raises(DevstackError) as error:
        server.start()
    assert str(server.log_path) in str(error.value)
    assert "nonsense" in str(error.value)
    assert not server.is_running

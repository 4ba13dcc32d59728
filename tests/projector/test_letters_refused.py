"""Dead letters that Kafka refuses, of a projector that may do everything else: the ACLs of a real authorizer."""

import asyncio
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.protocol.admin import CreateAclsRequest

from devstack import Kafka, free_port
from devstack.ports import LOCALHOST, free_ports
from projector.letters.headers import HEADER_PREFIX
from tests.support.deployment import Deployment, wait_for
from tests.support.events import event
from tests.support.health import ready
from tests.support.refold import assert_right
from tests.support.services import Services

PLAIN: Final = ("CLIENTS", "BROKER", "CONTROLLER")  # whoever comes by these may do everything
SECURED: Final = "SECURED"
PASSWORD: Final = "let-me-in"  # noqa: S105 - nothing is protected by it
# Numbers of the Kafka protocol.
TOPIC: Final = 2
LITERAL: Final = 3
ALLOW: Final = 3
READ, WRITE, DESCRIBE = 3, 4, 8


@pytest.fixture
def guarded_kafka(tmp_path: Path) -> Iterator[tuple[Kafka, str]]:
    """A broker, and its address at which one is known by name and password and may do what its ACLs allow."""
    ports = dict(zip((*PLAIN, SECURED), free_ports(4), strict=True))
    addresses = {name: f"{name}://{LOCALHOST}:{port}" for name, port in ports.items()}
    protocols = dict.fromkeys(PLAIN, "PLAINTEXT") | {SECURED: "SASL_PLAINTEXT"}
    login = "org.apache.kafka.common.security.plain.PlainLoginModule"
    settings = {
        "listener.security.protocol.map": ",".join(f"{name}:{protocol}" for name, protocol in protocols.items()),
        "listeners": ",".join(addresses.values()),
        "advertised.listeners": ",".join(address for name, address in addresses.items() if name != "CONTROLLER"),
        "controller.quorum.voters": f"1@{LOCALHOST}:{ports['CONTROLLER']}",
        "listener.name.secured.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.secured.plain.sasl.jaas.config": f'{login} required user_projector="{PASSWORD}";',
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        "allow.everyone.if.no.acl.found": "true",
    }
    with Kafka(tmp_path / "kafka", port=ports["CLIENTS"], settings=settings) as kafka:
        yield kafka, f"{LOCALHOST}:{ports[SECURED]}"


async def allow(kafka: Kafka, topic: str, *operations: int) -> None:
    """Let the projector do these things with a topic; once something is allowed there, the rest is not."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers)
    await producer.start()
    try:
        for operation in operations:
            request = CreateAclsRequest(TOPIC, topic, LITERAL, "User:projector", "*", operation, ALLOW)
            answer = await producer.client.send(producer.client.get_random_node(), request)
            assert not answer.creation_responses[0][0], answer
    finally:
        await producer.stop()


def test_a_dead_letter_topic_that_may_not_be_written(
    guarded_kafka: tuple[Kafka, str], services: Services, tmp_path: Path
) -> None:
    """The partition of a bad record waits, named, while its letter is refused; the others go on, and it heals."""
    kafka, guarded_address = guarded_kafka
    own = Services(kafka.bootstrap_servers, services.redis_url, "devstack")
    with Deployment(own, f"refused-{uuid.uuid4().hex[:12]}", tmp_path) as deployment:
        letters_topic = f"dlq.{deployment.topic}"
        asyncio.run(allow(kafka, letters_topic, READ, DESCRIBE))
        port = free_port()
        login = {
            "KAFKA_BOOTSTRAP_SERVERS": guarded_address,
            "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "KAFKA_SASL_PLAIN_USERNAME": "projector",
            "KAFKA_SASL_PLAIN_PASSWORD": PASSWORD,
        }
        process = deployment.start_projector(**login, METRICS_PORT=str(port))
        deployment.publish([(b"k", b"rubbish", [])], 0)
        deployment.publish_event(event(job="behind"), 0)
        wait_for(lambda: "dead letters of" in ready(port)[1], "the reason is named")
        deployment.publish_event(event(job="elsewhere"), 1)
        wait_for(lambda: deployment.positions().get("1") == 1, "the other partition goes on")
        said = deployment.command("projector", "skip", "--partition", "0", "--to", "1", code=75, **login)
        assert f"dead letters of {deployment.topic}/0 were not acknowledged" in said
        assert "Traceback" not in said
        assert "0" not in deployment.positions()
        asyncio.run(allow(kafka, letters_topic, WRITE))
        wait_for(lambda: ready(port)[0] == 200, "it goes on by itself")
        assert_right(deployment)
        letters = deployment.records(letters_topic)
        assert {(letter.value, dict(letter.headers)[HEADER_PREFIX + "offset"]) for letter in letters} == {
            (b"rubbish", b"0")
        }
        assert process.poll() is None
        assert PASSWORD not in deployment.logs()

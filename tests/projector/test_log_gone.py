"""A topic that is gone, and records that a transaction keeps from everybody."""

import asyncio
import signal

from aiokafka import AIOKafkaProducer

from devstack import free_port
from tests.support.deployment import Deployment, wait_for
from tests.support.events import event
from tests.support.health import ready
from tests.support.refold import assert_right


def test_a_topic_that_is_deleted_is_told(deployment: Deployment) -> None:
    """The projector is not ready while its topic is gone, what is stored stays, and it never reads another log on."""
    for number in range(3):
        deployment.publish_event(event(job=f"job-{number}"), 0)
    port = free_port()
    deployment.start_projector(METRICS_PORT=str(port))
    deployment.wait_until_applied()
    before = deployment.positions()
    asyncio.run(deployment.delete_topic())
    wait_for(lambda: ready(port)[0] == 503, "it is not ready", 40)
    assert deployment.positions() == before


async def test_an_open_transaction_is_named(deployment: Deployment) -> None:
    """Records behind a transaction that is not ended are not shown, and the doctor says what they wait for."""
    port = free_port()
    deployment.start_projector(METRICS_PORT=str(port))
    await asyncio.to_thread(wait_for, lambda: ready(port)[0] == 200, "the projector is ready")
    producer = AIOKafkaProducer(
        bootstrap_servers=deployment.services.kafka_bootstrap_servers, transactional_id=deployment.topic
    )
    await producer.start()
    try:
        await producer.begin_transaction()
        await deployment.send(event(job="undecided"), 0, producer)
        await deployment.send(event(job="behind"), 0)
        said = await asyncio.to_thread(deployment.command, "projector", "doctor", code=1)
        assert f"transaction: {deployment.topic}/0: 2 records wait behind a transaction that is open" in said
        assert deployment.positions().get("0", 0) == 0
        await producer.commit_transaction()
    finally:
        await producer.stop()
    wait_for(lambda: deployment.positions().get("0") == 3, "both events and the marker are applied")
    await asyncio.to_thread(assert_right, deployment)
    assert "transaction" not in await asyncio.to_thread(deployment.command, "projector", "doctor")


def test_told_to_stop_twice(deployment: Deployment) -> None:
    """A second SIGTERM changes nothing: the batch is finished, the exit is clean and within ten seconds."""
    deployment.publish((b"key", b"rubbish", []) for _ in range(2000))
    process = deployment.start_projector()
    wait_for(deployment.positions, "something is applied")
    for _ in range(2):
        process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    deployment.start_projector()
    assert_right(deployment)

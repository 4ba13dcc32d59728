"""Topics with many partitions: all of them are projected, and an odd record in one costs the others nothing."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from devstack import free_port
from tests.support.deployment import Deployment, Message, wait_for
from tests.support.events import event
from tests.support.health import ready
from tests.support.processes import started
from tests.support.record_batches import batch, record, write_batch
from tests.support.services import Services

PARTITIONS = 1_000
EVENTS = 5_000
VISIBLE_WITHIN_SECONDS = 5.0
LATER_PARTITIONS = 300


@pytest.fixture
def wide(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A topic with a thousand partitions."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    directory = tmp_path_factory.mktemp("deployment")
    with Deployment(services, name, directory, partitions=PARTITIONS, start=started) as deployment:
        yield deployment


def messages() -> Iterator[Message]:
    """Yield events of as many jobs."""
    for number in range(EVENTS):
        job = f"job-{number}"
        yield job.encode(), json.dumps(event(job=job)).encode(), []


@pytest.mark.long(45)
async def test_a_thousand_partitions_are_projected(wide: Deployment) -> None:
    """A backlog in all of them is applied, and then an event in any is seen soon, though one holds an odd record."""
    await wide.write(messages(), None)
    odd = [record(json.dumps(event(job=f"odd-{number}")).encode(), number, b"\xff") for number in range(3)]
    await write_batch(wide.services.kafka_bootstrap_servers, wide.topic, 0, batch(odd, "zstd", len(odd)))
    port = free_port()
    process = wide.start_projector(METRICS_PORT=str(port))
    count = EVENTS + len(odd)
    wait_for(lambda: sum(wide.positions().values()) == count, "all is applied")
    wait_for(lambda: ready(port)[0] == 200, "it is ready")
    await wide.send(event(job="late"), PARTITIONS - 1)
    wait_for(lambda: sum(wide.positions().values()) == count + 1, "the late event is applied", VISIBLE_WITHIN_SECONDS)
    assert process.poll() is None


@pytest.mark.long(20)
def test_topics_that_are_about_to_be_are_waited_for(deployment: Deployment) -> None:
    """A projector that is started before its topics are known to Kafka projects as soon as they are."""
    later: Any = {
        "KAFKA_TOPIC": f"{deployment.topic}-later",
        "KAFKA_DEAD_LETTER_TOPIC": f"{deployment.topic}-later-letters",
    }
    port = free_port()
    process = deployment.start_projector(METRICS_PORT=str(port), **later)
    deployment.command("projector", "topics", "create", "--partitions", str(LATER_PARTITIONS), **later)
    wait_for(lambda: ready(port)[0] == 200, "it is ready")
    assert process.poll() is None


def test_topics_that_do_not_come_end_the_process(deployment: Deployment) -> None:
    """Without its topics a projector ends when the time for a start is over, and says what to do."""
    process = deployment.start_projector(KAFKA_TOPIC=f"{deployment.topic}-never", START_TIMEOUT_SECONDS="1")
    assert process.wait(30) == 75
    assert f"Kafka has no topic {deployment.topic}-never" in deployment.logs()

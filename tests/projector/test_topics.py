"""`python -m projector topics create`, on a real Kafka."""

import pytest

from projector.log import topics
from projector.settings import ProjectorSettings
from service.kafka import admin_client
from tests.support.deployment import Deployment


@pytest.mark.parametrize(
    ("partitions", "said"),
    [
        (None, ""),
        (2, ""),
        (3, "it has 2 partitions, 3 are wanted: `kafka-topics.sh --alter --topic {topic} --partitions 3` adds them"),
        (1, "it has 2 partitions, 1 is wanted: Kafka takes none away"),
    ],
)
def test_another_number_of_partitions_is_told(deployment: Deployment, partitions: int | None, said: str) -> None:
    """A topic that exists with other partitions than are asked for stays as it is, and that is said with what helps."""
    topic = f"{deployment.topic}-2"
    deployment.command("projector", "topics", "create", "--partitions", "2", KAFKA_TOPIC=topic)
    asked_for = () if partitions is None else ("--partitions", str(partitions))
    log, letters = deployment.command("projector", "topics", "create", *asked_for, KAFKA_TOPIC=topic).splitlines()
    assert log == f"{topic}: exists" + (f", but {said.format(topic=topic)}" if said else "")
    assert letters == f"dlq.{topic}: exists"


async def test_more_partitions_than_one_request_takes(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """A topic gets all its partitions, though Kafka refuses to make as many for one request."""
    monkeypatch.setattr(topics, "MOST_AT_ONCE", 2)
    topic = f"{deployment.topic}-5"
    settings = ProjectorSettings.load(deployment.environment | {"KAFKA_TOPIC": topic})
    assert (await topics.create_topics(settings, 5, 1))[0] == f"{topic}: created with 5 partitions"
    async with admin_client(settings) as admin:
        assert len((await admin.describe_topics([topic]))[0]["partitions"]) == 5

"""Our partitions, placed by what is stored."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import NoOffsetForPartitionError

from projector.assignment.assignment import Assignment
from projector.log.consumer import Log
from projector.settings import ProjectorSettings
from projector.store.live import LogIdentity, Store
from service.redis import connect
from tests.support.deployment import Deployment
from tests.support.events import event


@pytest.fixture
async def assignment(deployment: Deployment) -> AsyncIterator[Assignment]:
    """The partitions of a topic with an event in partition 0, assigned to us and placed."""
    await deployment.send(event(), 0)
    settings = ProjectorSettings.load(deployment.environment)
    redis = connect(settings)
    log = Log(deployment.topic, deployment.topic, settings.kafka_client_options())
    await log.start()
    try:
        await log.join()
        store = Store(redis, deployment.prefix, LogIdentity("cluster", deployment.topic))
        await store.open(await log.ends())
        assignment = Assignment(log, store)
        async with asyncio.timeout(20):
            while len(assignment.partitions) < deployment.partitions:
                with contextlib.suppress(NoOffsetForPartitionError):
                    await log.poll()
                await assignment.place()
        yield assignment
    finally:
        await log.stop()
        await redis.aclose()


async def test_what_another_broker_leads_is_placed_anew(
    assignment: Assignment, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records of a new leader are not folded before what was applied has been checked against its log."""
    item = TopicPartition(deployment.topic, 0)
    before = assignment.partitions[item]
    assert {partition.name for partition, _ in assignment.polled({})} == set(assignment.applied)
    monkeypatch.setattr(assignment.log, "leader", lambda asked: 99 if asked == item else before.leader)
    assert before.name not in {partition.name for partition, _ in assignment.polled({})}
    monkeypatch.undo()
    before.doubt()  # its broker did not answer: that is the same
    assert before.name not in {partition.name for partition, _ in assignment.polled({})}
    await assignment.place()
    assert assignment.partitions[item] is not before
    assert before.name in {partition.name for partition, _ in assignment.polled({})}

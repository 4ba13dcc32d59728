"""Our partitions, placed by what is stored."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiokafka import TopicPartition

from projector.assignment.assignment import Assignment
from projector.assignment.partition import Hold
from projector.fold.batches import Stretch
from projector.log.consumer import Log
from projector.log.reader import Polled
from projector.settings import ProjectorSettings
from projector.store.live import Live, LogIdentity
from schemas.redis_layout import DAMAGED_KEY, LETTERS_AWAY
from service.redis import connect
from tests.support.deployment import Deployment
from tests.support.events import event


@pytest.fixture
async def log(deployment: Deployment) -> AsyncIterator[Log]:
    """The log, with an event in partition 0, as a member of its group sees it."""
    await deployment.send(event(), 0)
    settings = ProjectorSettings.load(deployment.environment)
    log = Log(deployment.topic, deployment.topic, settings.kafka_client_options())
    await log.start()
    try:
        await log.join()
        yield log
    finally:
        await log.stop()


@pytest.fixture
async def assignment(deployment: Deployment, log: Log) -> AsyncIterator[Assignment]:
    """The partitions of the log, assigned to us and placed."""
    redis = connect(ProjectorSettings.load(deployment.environment))
    try:
        store = Live(redis, deployment.prefix, LogIdentity("cluster", deployment.topic))
        await store.open(log.ends)
        assignment = Assignment(log, store)
        async with asyncio.timeout(20):
            while len(assignment.partitions) < deployment.partitions:
                await assignment.take()
        yield assignment
    finally:
        await redis.aclose()


async def test_what_another_broker_leads_is_placed_anew(
    assignment: Assignment, log: Log, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records of a new leader are not folded before what was applied has been checked against its log."""
    item = TopicPartition(deployment.topic, 0)
    before = assignment.partitions[item]
    assert all(map(assignment.is_readable, assignment.partitions.values()))
    monkeypatch.setattr(log, "leader", lambda asked: 99 if asked == item else before.leader)
    assert not assignment.is_readable(before)
    monkeypatch.undo()
    before.doubt()  # its broker did not answer: that is the same
    assert not assignment.is_readable(before)
    await assignment.take()
    assert assignment.partitions[item] is not before
    assert assignment.is_readable(assignment.partitions[item])


async def test_what_is_taken_is_taken_once(assignment: Assignment, deployment: Deployment) -> None:
    """A partition is taken on from where it was taken before, and anew once its position was forgotten."""
    item = TopicPartition(deployment.topic, 0)
    await deployment.send(event(), 0)
    assignment.forget()
    first = await taken_of(assignment, item)
    assert (first.start, first.next, len(first.records)) == (0, 2, 2)
    assert not assignment.partitions[item].is_settled
    await deployment.send(event(), 0)
    second = await taken_of(assignment, item)
    assert (second.start, second.next, len(second.records)) == (2, 3, 1)
    assignment.seek_back()
    assignment.partitions[item].confirm(3)
    assert assignment.partitions[item].is_settled
    assignment.forget()
    assert (await taken_of(assignment, item)).start == 0  # where Redis stands, which nothing was applied to


async def test_what_was_polled_and_not_taken_is_read_again(
    assignment: Assignment, log: Log, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records that arrive while their partition may not be read, for one moment only, are not passed over."""
    item = TopicPartition(deployment.topic, 0)
    poll, leader = log.poll, log.leader
    polled_once: list[TopicPartition] = []
    led_elsewhere: set[TopicPartition] = set()

    async def poll_beside_an_election() -> Polled:
        polled = await poll()
        if item in polled and not polled_once:
            polled_once.append(item)
            led_elsewhere.add(item)
        return polled

    monkeypatch.setattr(log, "poll", poll_beside_an_election)
    monkeypatch.setattr(log, "leader", lambda asked: 99 if asked in led_elsewhere else leader(asked))
    before = assignment.partitions[item].next
    await deployment.send(event(), 0)
    while not polled_once:
        await assignment.take()
    led_elsewhere.clear()
    assert_whole(await taken_of(assignment, item), before)


async def test_a_position_never_passes_what_was_not_read(
    assignment: Assignment, log: Log, deployment: Deployment
) -> None:
    """Wherever the consumer stands, by whatever mistake, a stretch begins where the one before it ended."""
    item = TopicPartition(deployment.topic, 0)
    before = assignment.partitions[item].next
    for _ in range(3):
        await deployment.send(event(), 0)
    log.seek(item, before + 2)
    assert_whole(await taken_of(assignment, item), before)


async def test_what_one_error_holds_another_does_not_free(assignment: Assignment, deployment: Deployment) -> None:
    """Whatever makes us forget positions, what is held for another cause stays held until that is over."""
    first, second = (f"{deployment.topic}/{number}" for number in range(2))
    assignment.forget({first: Hold(LETTERS_AWAY, "no letters", is_over=lambda: is_back)})
    is_back = False
    await placed(assignment, deployment)
    assignment.forget({second: Hold(DAMAGED_KEY, "damaged")})
    await placed(assignment, deployment)
    assert assignment.holds == {first: "no letters", second: "damaged"}
    is_back = True
    assignment.forget()
    await placed(assignment, deployment)
    assert assignment.holds == {second: "damaged"}


def assert_whole(stretch: Stretch, start: int) -> None:
    """Assert that a stretch begins here and has the record of every offset."""
    assert [record.offset for record in stretch.records] == list(range(start, stretch.next))
    assert stretch.start == start


async def placed(assignment: Assignment, deployment: Deployment) -> None:
    """Return when all partitions are placed."""
    async with asyncio.timeout(20):
        while len(assignment.partitions) < deployment.partitions:
            await assignment.take()


async def taken_of(assignment: Assignment, item: TopicPartition) -> Stretch:
    """Return what is taken next of a partition."""
    async with asyncio.timeout(20):
        while True:
            taken = await assignment.take()
            for stretch in taken.stretches:
                if stretch.partition == assignment.partitions[item].name:
                    return stretch

"""The heartbeat, on a real Redis; the log is not asked for more than where it ends."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from projector.assignment.partition import Partition
from projector.errors import PositionMovedError, ProjectorError
from projector.fold.batch import move
from projector.heartbeat import Heartbeat
from projector.log.consumer import LogEnd
from projector.store.live import Live

ITEM = TopicPartition("t", 0)


@pytest.mark.parametrize(
    ("position", "taken", "is_noticed"), [(5, 5, False), (4, 4, True), (6, 6, True), (4, 6, False)]
)
async def test_positions_are_compared_of_what_stands_still(
    store: Live, position: int, taken: int, *, is_noticed: bool
) -> None:
    """A position that is not ours is noticed, but not while what was taken is still to be applied."""
    await store.apply(move("t/0", 0, 5, (0,)))
    partition = Partition(ITEM, (taken,), taken, leader=1, applied=position)
    interruptions: list[ProjectorError] = []

    async def ends_known(items: list[TopicPartition]) -> dict[TopicPartition, LogEnd]:
        return dict.fromkeys(items, LogEnd(7, 8))

    projector: Any = SimpleNamespace(interrupt=interruptions.append)
    assignment: Any = SimpleNamespace(partitions={ITEM: partition}, unled={})
    log: Any = SimpleNamespace(ends_known=ends_known)
    heartbeat = Heartbeat(projector, assignment, log, store)
    await heartbeat.beat()
    assert heartbeat.trouble is None
    assert (partition.end, partition.watermark) == (7, 8)
    assert [type(one) for one in interruptions] == [PositionMovedError] * is_noticed


async def test_a_sentence_names_some_of_very_many_partitions(store: Live) -> None:
    """Where Kafka says of ten thousand partitions nothing, readiness and log have a line that can be read."""
    items = [TopicPartition("t", number) for number in range(10_000)]
    partitions = {item: Partition(item, (0,), 0, leader=1, applied=0) for item in items}

    async def ends_known(_: list[TopicPartition]) -> dict[TopicPartition, LogEnd]:
        return {}

    assignment: Any = SimpleNamespace(partitions=partitions, unled={})
    log: Any = SimpleNamespace(ends_known=ends_known)
    heartbeat = Heartbeat(SimpleNamespace(is_idle=True), assignment, log, store)  # type: ignore[arg-type]
    await heartbeat.beat()
    assert heartbeat.trouble
    assert "t/1003 and 9992 more ends" in heartbeat.trouble
    assert len(heartbeat.trouble) < 200

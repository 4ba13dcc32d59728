"""The regular duties beside the loop."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from projector import upkeep
from projector.assignment.partition import Partition
from projector.metrics import Metrics
from projector.upkeep import Duty, keep_up, show_positions


async def test_what_is_ours_no_more_is_shown_no_more() -> None:
    """The lag of a partition that another projector has now is not told twice."""
    metrics = Metrics()
    ours = Partition(TopicPartition("t", 0), (3,), 3, leader=1, applied=3)
    assignment: Any = SimpleNamespace(partitions={0: ours}, unled={})
    await show_positions(assignment, metrics)
    assert metrics.registry.get_sample_value("projector_position", {"partition": "t/0"}) == 3
    assignment.partitions = {}
    await show_positions(assignment, metrics)
    assert metrics.registry.get_sample_value("projector_position", {"partition": "t/0"}) is None


class EnoughError(Exception):
    """What ends the upkeep of a test."""


async def test_duties_are_done_in_order_each_at_its_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each duty has its turns, one after the other, until one of them says that the process must end."""
    monkeypatch.setattr(upkeep, "TURN_SECONDS", 0)
    done: list[str] = []

    async def always() -> None:
        done.append("always")

    async def seldom() -> None:
        done.append("seldom")

    async def watch() -> None:
        if len(done) > 5:
            raise EnoughError

    with pytest.raises(EnoughError):
        await keep_up([Duty(1, always), Duty(2, seldom), Duty(1, watch)])
    assert done == ["always", "always", "seldom", "always", "always", "seldom"]

"""The regular duties beside the loop."""

from math import nan
from time import time
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from projector import upkeep
from projector.assignment.partition import Hold, Partition
from projector.fold.batch import Batch, Span
from projector.metrics import Metrics
from projector.upkeep import Duty, keep_up, show_positions
from schemas.redis_layout import NO_LEADER


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


@pytest.mark.parametrize(
    ("log_end", "is_led", "is_taken", "expected"),
    [(3, True, True, 0), (5, True, True, 2), (5, True, False, nan), (5, False, True, nan)],
)
async def test_the_lag_is_told_in_seconds_too(log_end: int, expected: float, *, is_led: bool, is_taken: bool) -> None:
    """It is the age of the first event that waits: 0 when none does, NaN when nobody knows when that was recorded."""
    metrics = Metrics()
    hold = None if is_led else Hold(NO_LEADER, "nobody leads it", lambda: False)
    ours = Partition(TopicPartition("t", 0), (3,), 3, leader=1, applied=3, watermark=log_end, hold=hold)
    assignment: Any = SimpleNamespace(partitions={0: ours}, unled={})
    first, second = (
        Batch(spans=[Span("t/0", at, at + 1, (0,), records=1, oldest_milliseconds=int((time() - age) * 1000))])
        for at, age in ((2, 9), (3, 2))
    )
    metrics.begin(first)
    if is_taken:
        metrics.begin(second)  # while the first is under way, whose age it is then
    metrics.count(first, 1)
    if is_taken:
        metrics.begin(second)
    await show_positions(assignment, metrics)
    shown = metrics.registry.get_sample_value("projector_lag_seconds", {"partition": "t/0"})
    assert shown == pytest.approx(expected, abs=0.5, nan_ok=True)


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

"""The queue of reports that Kafka has not acknowledged."""

import asyncio

import pytest

from worker.errors import RefusedByKafkaError
from worker.event import Report
from worker.outbox import Acknowledgement, Outbox

PLACE = Acknowledgement("job-events", 0, 7)


def report(number: int) -> Report:
    """Return some report."""
    return Report(str(number), b"3333", b"{}", f"report {number}")


async def test_oldest_first_until_settled() -> None:
    """Entries are read in the order in which they were put in, and stay until they are settled."""
    outbox = Outbox(limit=5)
    for number in range(3):
        outbox.put(report(number))
    assert [entry.report.id for entry in await outbox.first(2)] == ["0", "1"]
    outbox.settle((await outbox.first(1))[0], PLACE)
    assert [entry.report.id for entry in await outbox.first(5)] == ["1", "2"]
    assert len(outbox) == 2


async def test_outcomes_reach_who_waits() -> None:
    """Who waits for a report gets its acknowledgement, or the error that ended it."""
    outbox = Outbox(limit=5)
    good, bad = outbox.put(report(0)), outbox.put(report(1))
    first, second = await outbox.first(2)
    outbox.settle(second, RefusedByKafkaError(report="report 1", reason="too large"))
    outbox.settle(first, PLACE)
    assert await good == PLACE
    with pytest.raises(RefusedByKafkaError, match="report 1: too large"):
        await bad


async def test_settling_twice_is_harmless() -> None:
    """An acknowledgement that comes after the end changes nothing."""
    outbox = Outbox(limit=5)
    future = outbox.put(report(0))
    (entry,) = await outbox.first(1)
    outbox.settle(entry, PLACE)
    outbox.settle(entry, RefusedByKafkaError(report="report 0", reason="late"))
    assert await future == PLACE


async def test_waiting_for_something_and_for_nothing() -> None:
    """A reader waits until there is an entry, and a flush until there is none."""
    outbox = Outbox(limit=5)
    await outbox.emptied()
    reader = asyncio.create_task(outbox.first(1))
    await asyncio.sleep(0)
    assert not reader.done()
    outbox.put(report(0))
    flush = asyncio.create_task(outbox.emptied())
    (entry,) = await reader
    assert not flush.done()
    outbox.settle(entry, PLACE)
    await flush


async def test_limit() -> None:
    """It is full at its limit, and not before."""
    outbox = Outbox(limit=2)
    outbox.put(report(0))
    assert not outbox.is_full
    outbox.put(report(1))
    assert outbox.is_full
    assert [entry.report.id for entry in outbox.take_all()] == ["0", "1"]
    assert not outbox.is_full

"""Closing clients."""

import asyncio
import contextlib
import time

import pytest

from projector.closing import CLOSE_SECONDS, close, end, to_the_end


async def test_a_client_that_waits_for_ever_is_left() -> None:
    """Closing takes no longer than its limit."""
    began = time.monotonic()
    await close(asyncio.Event().wait)  # type: ignore[arg-type]
    assert CLOSE_SECONDS <= time.monotonic() - began < 2 * CLOSE_SECONDS


async def test_the_cancellation_of_a_clients_own_task_stays_inside() -> None:
    """A client that awaits a task it has cancelled does not end the process with a traceback."""
    task = asyncio.create_task(asyncio.sleep(60))

    async def closing() -> None:
        task.cancel()
        await task

    await close(closing)
    assert task.cancelled()


async def test_what_must_not_be_left_half_done_is_not() -> None:
    """It ends as it would have, however often whoever waits for it is cancelled meanwhile."""
    steps: list[int] = []

    async def work() -> None:
        for step in range(3):
            await asyncio.sleep(0.01)
            steps.append(step)
        raise ValueError("that went wrong")

    waiting = asyncio.create_task(to_the_end(work()))
    for _ in range(2):
        await asyncio.sleep(0.005)
        waiting.cancel()
    with pytest.raises(ValueError, match="that went wrong"):
        await waiting
    assert steps == [0, 1, 2]


async def test_a_task_that_has_lost_its_cancellation_is_ended_all_the_same() -> None:
    """What goes on as if nobody had told it to end is told again; what another one failed with is there to be asked."""

    async def deaf() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        await asyncio.sleep(60)

    async def failing() -> None:
        raise AttributeError("of a client")

    tasks = [asyncio.create_task(work()) for work in (deaf, failing)]
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await end(tasks)
    assert tasks[0].cancelled()
    with pytest.raises(AttributeError):
        tasks[1].result()

"""Closing clients."""

import asyncio
import time

from projector.closing import CLOSE_SECONDS, close


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

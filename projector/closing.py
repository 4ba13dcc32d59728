"""Closing what we hold when the other side may be away."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Coroutine
from typing import Any, Final, TypeVar

CLOSE_SECONDS: Final = 1.5
CANCEL_AGAIN_SECONDS: Final = 1.0

Result = TypeVar("Result")


async def to_the_end(work: Coroutine[Any, Any, Result]) -> Result:
    """Return what comes of what must not be left half done, also when it is cancelled meanwhile."""
    task = asyncio.ensure_future(work)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    return task.result()


async def end(tasks: Collection[asyncio.Task[Any]], again_seconds: float = CANCEL_AGAIN_SECONDS) -> None:
    """Cancel tasks, and return when all have ended, whatever they end with.

    A client may lose a cancellation, as `asyncio.wait_for` of Python 3.11 does when its work is done in that very
    moment, and its task then goes on for ever. So it is told again until it has ended, each time after so long as it
    may take to put away what it has; usually that is nothing.
    """
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=again_seconds)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # whoever wants it asks for it; Python need not tell of it


async def close(closing: Callable[[], Awaitable[None]]) -> None:
    """Close a client, or leave it to the end of the process.

    Some clients wait for a server that is away, one of them for ever; aiokafka's consumer lets the cancellation of its
    own tasks out when they fail in that very moment (`make torture` with seed 4).
    """
    with contextlib.suppress(TimeoutError, asyncio.CancelledError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await closing()

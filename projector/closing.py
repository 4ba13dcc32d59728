"""Closing what we hold when the other side may be away."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

CLOSE_SECONDS: Final = 1.5


async def close(closing: Callable[[], Awaitable[None]]) -> None:
    """Close a client, or leave it to the end of the process.

    Some clients wait for a server that is away, one of them for ever; aiokafka's consumer lets the cancellation of its
    own tasks out when they fail in that very moment (`make torture` with seed 4).
    """
    with contextlib.suppress(TimeoutError, asyncio.CancelledError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await closing()

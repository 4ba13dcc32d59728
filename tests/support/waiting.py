"""Waiting for a condition inside an event loop."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

WAIT_SECONDS = 10.0
_POLL_SECONDS = 0.01


async def until(condition: Callable[[], Awaitable[Any]], what: str, seconds: float = WAIT_SECONDS) -> Any:
    """Return the condition's first true value; AssertionError when it does not come true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := await condition():
            return value
        await asyncio.sleep(_POLL_SECONDS)
    raise AssertionError(f"not within {seconds:.0f} s: {what}")

"""Waiting for a condition inside an event loop, and how long to wait before one looks again, also outside."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

WAIT_SECONDS: Final = 10.0
# A part of the time that one has waited already: to look costs processor time, others' too.
PART: Final = 0.05
SHORTEST_PAUSE_SECONDS: Final = 0.01
LONGEST_PAUSE_SECONDS: Final = 0.1


def pause_after(waited_seconds: float) -> float:
    """Return after how many seconds to look again."""
    return min(max(SHORTEST_PAUSE_SECONDS, PART * waited_seconds), LONGEST_PAUSE_SECONDS)


async def until(condition: Callable[[], Awaitable[Any]], what: str, seconds: float = WAIT_SECONDS) -> Any:
    """Return the condition's first true value; AssertionError when it does not come true in time."""
    began = time.monotonic()
    while (waited := time.monotonic() - began) < seconds:
        if value := await condition():
            return value
        await asyncio.sleep(pause_after(waited))
    raise AssertionError(f"not within {seconds:.0f} s: {what}")

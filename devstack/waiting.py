"""Wait for a condition, never for a time."""

import time
from collections.abc import Callable

POLL_SECONDS = 0.05


def wait_until(holds: Callable[[], bool], limit_seconds: float) -> bool:
    """Ask until it holds; return False when it does not within the limit."""
    deadline = time.monotonic() + limit_seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True

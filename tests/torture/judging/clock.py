"""How much of a wait is the machine's: two cores are shared by everything here, and by whoever else is on it."""

import asyncio
import contextlib
import time
from collections import deque
from typing import Final, NamedTuple

from tests.torture.system.programs import Program
from tests.torture.system.resources import waited_seconds

TICK_SECONDS: Final = 0.05
TICKS: Final = 4_000


class _Tick(NamedTuple):
    """At a time (Unix seconds), how late this process was, and how long the API has been kept from a core."""

    at: float
    late_seconds: float
    api_waited_seconds: float


class Clock:
    """Measures, all the time, how late this process is, and how long the API waits for a core."""

    def __init__(self, api: Program) -> None:
        self._api = api
        self._ticks: deque[_Tick] = deque(maxlen=TICKS)

    async def run(self) -> None:
        """Measure until cancelled."""
        waited, pid = 0.0, None
        while True:
            due = time.monotonic() + TICK_SECONDS
            await asyncio.sleep(TICK_SECONDS)
            late, more = time.monotonic() - due, 0.0
            with contextlib.suppress(OSError, ValueError, IndexError):
                total = waited_seconds(self._api.pid) if self._api.pid else 0.0
                more = total - waited if pid == self._api.pid else 0.0
                waited, pid = total, self._api.pid
            self._ticks.append(_Tick(time.time(), late, more))

    def excused_seconds(self, since: float, until: float) -> float:
        """Return how much of that span (Unix seconds) neither the API nor anything it waits for is to blame for."""
        ticks = [tick for tick in self._ticks if since <= tick.at <= until + TICK_SECONDS]
        return sum(tick.late_seconds + tick.api_waited_seconds for tick in ticks)

"""The one deadline around all that an answer waits for when it needs more than a lookup, which has its own limit."""

import asyncio
from types import TracebackType
from typing import Final, Self

from api.projection.errors import NO_ANSWER_IN_TIME, StoreUnavailableError

ANSWER_SECONDS: Final = 0.8
# A timer that is this late says that this process had no time to look at replies; then waiting goes on for a moment.
BUSY_SECONDS: Final = 0.02
BUSY_PAUSE_SECONDS: Final = 0.1


class Deadline:
    """`async with` it: StoreUnavailableError when the block is not through so long after `since`, by the loop's clock.

    What the process does itself does not count: under a burst of requests every answer is late though Redis is not,
    and late is better than none.
    """

    __slots__ = ("_loop", "_timeout", "_timer")

    def __init__(self, since: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeout = asyncio.timeout(None)
        self._timer = self._expire_at(since + ANSWER_SECONDS)

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        try:
            await self._timeout.__aexit__(kind, error, trace)
        except TimeoutError:
            raise StoreUnavailableError(NO_ANSWER_IN_TIME) from None

    def _expire_at(self, due: float) -> asyncio.TimerHandle:
        return self._loop.call_at(due, self._expire, due)

    def _expire(self, due: float) -> None:
        now = self._loop.time()
        if now - due > BUSY_SECONDS:
            self._timer = self._expire_at(now + BUSY_PAUSE_SECONDS)
        else:
            self._timeout.reschedule(now)

"""One budget for what was made of answers and not yet taken by their clients, for a process.

Small answers do not ask for it, so that they, errors and health checks go out whatever others leave lying. A long
answer that is under way is not stopped by it either: its pieces become smaller the more of them there are.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Final, Self

from api.metrics import Metrics
from api.web.errors import BusyError

UNFINISHED_BYTES: Final = 128 * 1024 * 1024
# An answer up to this is small.
SMALL_BYTES: Final = 64 * 1024
# All long answers together plan for this part of the budget; the rest is for whole ones and for what is being made.
SHARED_PART: Final = 4
MIN_PIECE_BYTES: Final = 16 * 1024
MAX_PIECE_BYTES: Final = 1024 * 1024
# So many long answers are read and rendered at a time, so that small ones find their turn between them.
LONG_AT_ONCE: Final = 2
# While small answers go out (one did so lately), a turn ends with a pause, so many times as long as its part took but
# no longer than this: Redis, the loop and the processors are theirs meanwhile.
PAUSE_TIMES: Final = 3
LONGEST_PAUSE_SECONDS: Final = 0.005
LATELY_SECONDS: Final = 0.1


class Budget:
    """Knows how many bytes of answers are unfinished, and in how many answers."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._limit = UNFINISHED_BYTES
        self.bytes = 0
        self.answers = 0
        self._turns = asyncio.Semaphore(LONG_AT_ONCE)
        self._small_at = float("-inf")

    @property
    def is_tight(self) -> bool:
        """Whether more than half of it is used."""
        return self.bytes > self._limit // 2

    @property
    def share(self) -> int:
        """How many bytes one more long answer may have at hand."""
        share = self._limit // SHARED_PART // (self.answers + 1)
        return min(max(share, MIN_PIECE_BYTES), MAX_PIECE_BYTES)

    def small(self) -> None:
        """Note that a small answer goes out."""
        self._small_at = asyncio.get_running_loop().time()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Take a turn in making long answers: few have one at a time, and it ends with a pause for small ones."""
        loop = asyncio.get_running_loop()
        async with self._turns:
            started = loop.time()
            yield
            ended = loop.time()
            if ended - self._small_at < LATELY_SECONDS:
                await asyncio.sleep(min(PAUSE_TIMES * (ended - started), LONGEST_PAUSE_SECONDS))

    def move(self, before: int, after: int) -> None:
        """Note that an answer holds so many bytes, and how many it held before."""
        self.bytes += after - before
        self.answers += bool(after) - bool(before)
        self._metrics.unfinished(self.bytes)

    def too_slow(self) -> None:
        """Count a client that was cut since it took too little."""
        self._metrics.limit_met("least rate")

    def ask(self, more: int) -> None:
        """Make sure that there is room for so many bytes more; BusyError when there is none."""
        if self.bytes + more > self._limit:
            self._metrics.limit_met("unfinished bytes")
            raise BusyError


class Holding:
    """What one answer holds of the budget; nothing once its block has ended."""

    __slots__ = ("_bytes", "_is_under_way", "budget")

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._bytes = 0
        self._is_under_way = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bytes:
            self.budget.move(self._bytes, 0)

    def share(self) -> int:
        """Return how many bytes this answer may have at hand."""
        return self.budget.share

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Return the turn in which a part of a long answer is made."""
        return self.budget.turn()

    def hold(self, size: int) -> None:
        """Hold so many bytes now; BusyError when that is much, more than before, and not under way yet."""
        if size <= SMALL_BYTES and not (self._bytes or self._is_under_way):
            return
        if size > self._bytes and size > SMALL_BYTES and not self._is_under_way:
            self.budget.ask(size - self._bytes)
        self.budget.move(self._bytes, size)
        self._bytes = size

    def begin(self) -> None:
        """Note that a long answer begins: from here on it is finished, whatever others hold; BusyError instead."""
        self.budget.ask(MIN_PIECE_BYTES)
        self._is_under_way = True

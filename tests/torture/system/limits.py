"""Every wait has a limit and says what it waited for: nothing that is broken here may make the torture itself hang."""

import asyncio
import io
import logging
from collections.abc import Awaitable
from typing import Any, Final, TypeVar

STOP_SECONDS: Final = 15.0
STACK_LIMIT: Final = 4
_log: Final = logging.getLogger(__name__)
Result = TypeVar("Result")


class TooLongError(TimeoutError):
    """Something took longer than its limit."""


class HangingTransactionError(TooLongError):
    """Kafka has forgotten a transaction that is open in a log: an operator must end it, or make the log anew."""


async def within(seconds: float, what: str, awaited: Awaitable[Result]) -> Result:
    """Return what is awaited; raise TooLongError, with what it was, when it takes longer."""
    task = asyncio.ensure_future(awaited)
    try:
        # Not wait_for: that waits without a limit until what it has cancelled has ended.
        done, _ = await asyncio.wait([task], timeout=seconds)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if not done:
        where = "".join(_stack(waiting) for waiting in asyncio.all_tasks())
        task.cancel()
        _log.warning("%s: not within %.0f s, while all this was going on:\n%s", what, seconds, where)
        raise TooLongError(f"{what}: not within {seconds:.0f} s")
    return task.result()


def _stack(task: "asyncio.Task[Any]") -> str:
    """Return where a task waits."""
    text = io.StringIO()
    task.print_stack(limit=STACK_LIMIT, file=text)
    return text.getvalue()


async def stopped(what: str, stopping: Awaitable[object]) -> None:
    """Wait until something has stopped, and go on without it when it does not."""
    try:
        await within(STOP_SECONDS, what, stopping)
    except TooLongError as error:
        _log.warning("%s", error)


async def cancelled(what: str, task: "asyncio.Task[None]") -> BaseException | None:
    """End a task and return what went wrong with it before; nothing when it just went on."""
    was_over = task.done()
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=STOP_SECONDS)
    if not done:
        _log.warning("%s: not ended within %.0f s", what, STOP_SECONDS)
        return None
    return task.exception() if was_over and not task.cancelled() else None

"""Nothing that hangs makes the torture hang."""

import asyncio

import pytest

from tests.torture.system.limits import TooLongError, cancelled, within

LIMIT_SECONDS = 0.05


async def stubborn(is_over: asyncio.Event) -> None:
    """Go on though it is cancelled."""
    while not is_over.is_set():
        try:
            await is_over.wait()
        except asyncio.CancelledError:
            continue


async def test_what_takes_too_long_is_named(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever waits learns what did not happen, even when that cannot be ended; the log tells who waits where."""
    is_over = asyncio.Event()
    with pytest.raises(TooLongError, match="the end of all: not within 0 s"):
        await within(LIMIT_SECONDS, "the end of all", stubborn(is_over))
    is_over.set()
    assert "await is_over.wait()" in caplog.text


async def test_what_is_in_time_is_returned() -> None:
    """A limit changes neither a result nor an error."""
    assert await within(1, "a result", asyncio.sleep(0, "result")) == "result"
    with pytest.raises(ZeroDivisionError):
        await within(1, "an error", asyncio.to_thread(lambda: 1 / 0))


async def test_a_task_that_failed_says_why_when_it_is_ended() -> None:
    """What just went on is ended in silence."""
    failed = asyncio.create_task(asyncio.to_thread(lambda: 1 / 0))
    await asyncio.wait([failed])
    assert isinstance(await cancelled("a task", failed), ZeroDivisionError)  # type: ignore[arg-type]
    assert await cancelled("a task", asyncio.create_task(asyncio.sleep(60))) is None

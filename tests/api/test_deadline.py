"""The deadline of an answer: it ends a wait for others, and does not count what the process itself does."""

import asyncio
import time

import pytest

from api import deadline
from api.deadline import Deadline
from api.errors import StoreUnavailableError


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "ANSWER_SECONDS", 0.1)


async def test_a_wait_that_takes_too_long_is_ended() -> None:
    """Whoever waits longer than the deadline is told that the store did not answer, also after it was prolonged."""
    for prolonged in (False, True):
        with pytest.raises(StoreUnavailableError, match="no answer in time"):
            async with Deadline() as limit:
                if prolonged:
                    limit.prolong()
                await asyncio.Event().wait()


async def test_what_the_process_does_itself_does_not_count() -> None:
    """A reply that is there is taken, though the process was too busy to look at it in time."""
    async with Deadline():
        reply = asyncio.create_task(asyncio.sleep(0.05, "reply"))
        await asyncio.sleep(0)
        time.sleep(0.3)  # noqa: ASYNC251 - the busy process
        assert await reply == "reply"


async def test_what_fails_by_itself_is_raised_as_it_is() -> None:
    """An error of the block, and the cancellation of the request, are not taken for the deadline."""
    with pytest.raises(ValueError, match="mine"):
        async with Deadline():
            raise ValueError("mine")
    with pytest.raises(asyncio.CancelledError):
        async with Deadline():
            raise asyncio.CancelledError

"""The deadline of an answer: it ends a wait for others, and does not count what the process itself does."""

import asyncio
import time
from typing import Any, cast

import pytest

from api.projection import deadline
from api.projection.deadline import Deadline
from api.projection.errors import StaleGenerationError, StoreUnavailableError
from api.projection.generation import Bucket, Generation
from api.projection.lookup import Search
from api.projection.projection import Projection


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "ANSWER_SECONDS", 0.1)


def deadline_from_now() -> Deadline:
    """Return a deadline of an answer that begins now."""
    return Deadline(asyncio.get_running_loop().time())


async def wait_in_vain() -> None:
    """Wait, under a deadline, for what never comes."""
    async with deadline_from_now():
        await asyncio.Event().wait()


async def test_a_wait_that_takes_too_long_is_ended() -> None:
    """Whoever waits longer than the deadline is told that the store did not answer."""
    with pytest.raises(StoreUnavailableError, match="no answer in time"):
        await wait_in_vain()


async def test_what_the_process_does_itself_does_not_count() -> None:
    """A reply that is there is taken, though the process was too busy to look at it in time."""
    async with deadline_from_now():
        reply = asyncio.create_task(asyncio.sleep(0.05, "reply"))
        await asyncio.sleep(0)
        time.sleep(0.3)  # noqa: ASYNC251 - the busy process
        assert await reply == "reply"


async def test_what_fails_by_itself_is_raised_as_it_is() -> None:
    """An error of the block, and the cancellation of the request, are not taken for the deadline."""
    with pytest.raises(ValueError, match="mine"):
        async with deadline_from_now():
            raise ValueError("mine")
    with pytest.raises(asyncio.CancelledError):
        async with deadline_from_now():
            raise asyncio.CancelledError


class Slow:
    """A reader whose every answer comes late, and says that it is of another generation."""

    def ask(self, *_: object) -> "asyncio.Task[Any]":
        """Ask."""
        return asyncio.create_task(self._late())

    async def _late(self) -> None:
        await asyncio.sleep(0.8 * deadline.ANSWER_SECONDS)
        raise StaleGenerationError("late")


class Silent:
    """A pointer that was read lately, and cannot be read again."""

    def known(self) -> Generation:
        """Return what was read."""
        return Generation(1, (Bucket(1, 0, "", ""),))

    def suspect(self) -> None:
        """Be told that it may be another one."""

    async def read(self) -> None:
        """Wait in vain."""
        await asyncio.Event().wait()


async def test_what_a_first_call_took_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was told that another generation may be live does not wait all of it once more."""
    monkeypatch.setattr(deadline, "ANSWER_SECONDS", 1.0)  # all of it once more is longer than what a busy machine adds
    projection = Projection(cast("Any", Silent()), cast("Any", Slow()))
    search = Search(("jobid:x",), None, None)
    began = asyncio.get_running_loop().time()
    with pytest.raises(StaleGenerationError):
        await projection.first(search, 10)
    with pytest.raises(StoreUnavailableError, match="no answer in time"):
        await projection.scan(search, 10, began)
    assert asyncio.get_running_loop().time() - began < 1.6

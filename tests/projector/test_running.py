"""Commands that are told to end."""

import asyncio
import contextlib
import os
import signal

import pytest

from projector.operating import running
from service.errors import StoppedError


async def test_a_command_whose_client_loses_its_cancellation_ends_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes on as if nobody had told it to end is told again; what puts something away has its time before that."""
    monkeypatch.setattr(running, "TOLD_AGAIN_SECONDS", 0.2)
    done: list[str] = []

    async def command() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        with contextlib.suppress(asyncio.CancelledError):  # as a client does
            await asyncio.sleep(60)
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.1)
            done.append("put away")

    async with asyncio.timeout(10):
        with pytest.raises(StoppedError):
            await running._until_told(command())  # noqa: SLF001 - what runs it makes an event loop of its own
    assert done == ["put away"]

"""Waiting for whoever is at the other end of a pipe, who may be silent for ever: Ctrl-C ends it.

A read or a write that waits keeps the event loop from hearing of a signal, and the end of Python waits for a thread of
asyncio's that does, so neither is left to them.
"""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from io import RawIOBase
from typing import Final

_TOLD: Final = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def interruptible() -> Iterator[None]:
    """Have SIGINT and SIGTERM raise CancelledError from what waits in the block, in the main thread."""

    def end(*_: object) -> None:
        raise asyncio.CancelledError

    before = [(number, signal.signal(number, end)) for number in _TOLD]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


async def read_beside(read: Callable[[], bytes]) -> bytes:
    """Return what is read by a thread of its own, which the end of the process does not wait for."""
    reading: Future[bytes] = Future()
    reading.set_running_or_notify_cancel()  # whoever waits may be cancelled, the thread cannot

    def run() -> None:
        try:
            reading.set_result(read())
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            reading.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return await asyncio.wrap_future(reading)


class PipeSink:
    """Writes into a pipe, or another thing that may take nothing for a while; nothing once it was told to end."""

    def __init__(self, pipe: RawIOBase) -> None:
        self._pipe = pipe
        self._is_over = False

    def write(self, content: bytes, /) -> int:
        """Write all of it. Raises CancelledError when told to end meanwhile."""
        rest = memoryview(content)
        try:
            with interruptible():
                while rest and not self._is_over:
                    rest = rest[self._pipe.write(rest) or 0 :]
        except asyncio.CancelledError:
            self._is_over = True  # the end of a compressed stream would wait once more
            raise
        return len(content)

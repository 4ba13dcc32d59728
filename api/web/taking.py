"""How a client takes what it is sent: slice by slice, and who takes next to nothing while others need room is cut."""

import asyncio
import fcntl
import struct
import termios
from typing import Final

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from api.web.budget import Budget

SLICE_BYTES: Final = 32 * 1024
# What the transport keeps of it for a connection before the sender waits.
WRITE_BUFFER_BYTES: Final = 32 * 1024
# Who takes less than this on average, while more than half of the budget is used, is cut.
LEAST_BYTES_PER_SECOND: Final = 256
RATE_SECONDS: Final = 30.0


class TooSlowError(ConnectionResetError):
    """The client took too little, and the connection was cut."""


class Taking:
    """Waits until a client has taken what was written."""

    def __init__(self, request: web.BaseRequest, budget: Budget) -> None:
        self._request = request
        self._budget = budget

    async def wait(self, writer: AbstractStreamWriter) -> None:
        """Wait until more may be written; ConnectionResetError when the client is gone, or was cut."""
        if not self._request.protocol.writing_paused:
            return
        draining = asyncio.ensure_future(writer.drain())
        try:
            left = self._left()
            while not (await asyncio.wait((draining,), timeout=RATE_SECONDS))[0]:
                before, left = left, self._left()
                if self._budget.is_tight and before - left < LEAST_BYTES_PER_SECOND * RATE_SECONDS:
                    self._cut()
            draining.result()
        finally:
            draining.cancel()

    def _left(self) -> int:
        """Return how many bytes the client has not taken, also of those that the kernel has."""
        transport = self._request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError
        return transport.get_write_buffer_size() + _unsent(transport.get_extra_info("socket").fileno())

    def _cut(self) -> None:
        self._budget.too_slow()
        if self._request.transport is not None:
            self._request.transport.abort()
        raise TooSlowError


def _unsent(file: int) -> int:
    """Return how many bytes of a socket the other side has not acknowledged; 0 where the system does not tell."""
    try:
        return int(struct.unpack("i", fcntl.ioctl(file, termios.TIOCOUTQ, b"\0\0\0\0"))[0])
    except OSError:
        return 0

"""How a stream of Server-Sent Events goes out.

aiohttp-sse writes for one client at a time, and waits for it. Here the same bytes go to many clients, from whoever has
them, without a task for each to be woken: they are written to the transport at once, and what a client has not taken is
the transport's.
"""

import asyncio
from contextlib import suppress
from typing import Final

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.http import StreamWriter
from multidict import CIMultiDict

from api.exchange import Stream
from api.web.taking import Taking

# How long a client that was told to go may take for what is left, before its connection is cut.
LEAVING_SECONDS: Final = 5.0

_HEADERS: Final = CIMultiDict(
    {
        hdrs.CONTENT_TYPE: "text/event-stream; charset=utf-8",
        # Proxies are to hand on what comes, as it comes.
        "X-Accel-Buffering": "no",
    }
)
CACHE_CONTROL: Final = "no-cache, no-transform"


class EventStream(web.StreamResponse):
    """The response that streams."""

    def __init__(self, stream: Stream) -> None:
        super().__init__(headers=_HEADERS)
        self.stream = stream

    async def send(self, request: web.BaseRequest, taking: Taking) -> None:
        """Send until the stream ends, or its client has left."""
        self.headers[hdrs.CACHE_CONTROL] = CACHE_CONTROL
        self.force_close()
        writer = await self.prepare(request)
        if not isinstance(writer, StreamWriter):
            return
        writer.send_headers()
        outlet = TransportOutlet(request, writer, taking)
        request.protocol.when_lost = self.stream.leave  # type: ignore[attr-defined]
        try:
            await self.stream.run(outlet)
        finally:
            request.protocol.when_lost = None  # type: ignore[attr-defined]
        outlet.cut_later()


class TransportOutlet:
    """The way to one client."""

    def __init__(self, request: web.BaseRequest, writer: StreamWriter, taking: Taking) -> None:
        self._transport = request.transport
        self._is_chunked = request.version >= HttpVersion11
        self._writer = writer
        self._taking = taking

    @property
    def unsent_bytes(self) -> int:
        """How much was sent and is still here."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def send(self, blocks: bytes) -> None:
        """Send at once; nowhere when the client has left."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self._writer.output_size += len(blocks)
        transport.write(b"%x\r\n%b\r\n" % (len(blocks), blocks) if self._is_chunked else blocks)

    async def taken(self) -> None:
        """Return when the client has taken the most of what was sent, or has left."""
        with suppress(ConnectionError):
            await self._taking.wait(self._writer)

    def cut_later(self) -> None:
        """Cut the connection when what is left is not taken soon."""
        if self._transport is not None and self.unsent_bytes:
            asyncio.get_running_loop().call_later(LEAVING_SECONDS, self._transport.abort)

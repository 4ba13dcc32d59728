"""The HTTP server under the site: limits on what a client can hold, and errors for what never became a request."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Final, cast

import structlog
from aiohttp import hdrs, web
from aiohttp.http_exceptions import BadHttpMethod, HttpProcessingError
from aiohttp.streams import EMPTY_PAYLOAD

from api.web.connections import Connections
from api.web.errors import BadRequestError, InternalError, MethodNotAllowedError, WebError
from api.web.headers import METHODS
from api.web.site import IGNORED_UPGRADE, Site
from api.web.taking import WRITE_BUFFER_BYTES
from service.errors import ServiceUnavailableError
from service.listening import cause_of, listening_socket

HEAD_END: Final = b"\r\n\r\n"
MAX_LINE_BYTES: Final = 8190
MAX_FIELD_BYTES: Final = 16 * 1024
MAX_HEADERS: Final = 100
# How long a body that nobody asked for is read, so that its sender sees the answer.
LINGERING_SECONDS: Final = 2
# A client that takes nothing for this long loses its connection.
STALLED_MILLISECONDS: Final = 30_000
# Twice this is what ending takes at most: requests get as long to finish, and then to be cancelled.
SHUTDOWN_SECONDS: Final = 3
# Requests that were under way when the last connection was taken have arrived after this.
ARRIVING_SECONDS: Final = 0.2
# So many connections wait in the kernel to be taken, and so many are taken before others are answered.
BACKLOG: Final = 4096
TAKEN_AT_ONCE: Final = 64

_log = structlog.get_logger(__name__)


class Connection(web.RequestHandler):
    """A client's connection; answers in the site's form also where aiohttp finds no request."""

    __slots__ = ("_connections", "_has_left", "_site", "_unparsed", "when_lost")

    def __init__(self, server: "Server", site: Site, connections: Connections, **options: Any) -> None:
        super().__init__(server, **options)
        self._site = site
        self._connections = connections
        self._has_left = False
        self._unparsed = b""
        # Called when it is lost: who waits for something else would not notice.
        self.when_lost: Callable[[], None] | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether no whole request is at hand."""
        return not self._request_count or (self._waiter is not None and not self._messages)

    @property
    def is_stopped(self) -> bool:
        """Whether we end it, and not its client."""
        return self._force_close and not self._has_left

    @property
    def has_more(self) -> bool:
        """Whether requests wait behind the one that is answered."""
        return bool(self._messages or self._unparsed)

    def cut(self) -> None:
        """End the connection at once."""
        if self.transport is not None:
            self.transport.abort()

    def connection_made(self, transport: Any) -> None:
        """Begin, with little that is written and not taken."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End; the client has left unless we have said so before."""
        self._has_left = not self._force_close
        super().connection_lost(exc)
        if self.when_lost is not None:
            self.when_lost()

    def data_received(self, data: bytes) -> None:
        """Take bytes in, a head at a time: what is wrong with a request does not concern the one before it.

        The parser forgets whole requests when what comes behind them in the same bytes is none, or when one of them
        offers another protocol. What cannot be taken yet is kept; then reading is paused.
        """
        if self._upgraded:
            super().data_received(data)
            return
        rest = self._unparsed + data if self._unparsed else data
        start = 0
        while True:
            end = rest.find(HEAD_END, start) + len(HEAD_END)
            if end < len(HEAD_END):
                end = len(rest)
            super().data_received(rest[start:end] if start or end < len(rest) else rest)
            start = end
            if start >= len(rest) or not self._can_take:
                break
        self._unparsed = rest[start:]
        if rest and self.transport is not None and self._waiter is not None:
            self._connections.heard(self, is_half=not self._messages)

    @property
    def _can_take(self) -> bool:
        return not (self._reading_paused or self._upgraded or len(self._messages) >= self._max_msg_queue_size)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,  # noqa: ARG002 - the error itself says more
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it may quote what was sent
    ) -> web.StreamResponse:
        """Return the response to bytes that are not HTTP, or not within the limits, without quoting them."""
        if isinstance(exc, ConnectionError):
            raise exc
        response = self._site.refuse(request, _error_of(exc))
        response.force_close()
        return response


def _error_of(fault: BaseException | None) -> WebError:
    if isinstance(fault, BadHttpMethod):
        return MethodNotAllowedError(METHODS)
    if isinstance(fault, HttpProcessingError):
        return BadRequestError("The request is not valid HTTP, or has a line or headers that are too long")
    _log.error("a request could not be answered", exc_info=fault)
    return InternalError()


class Server(web.Server):
    """Accepts connections up to a limit."""

    def __init__(self, site: Site, connections: Connections, **options: Any) -> None:
        super().__init__(site.answer, request_factory=_request, handler_cancellation=True)  # type: ignore[arg-type]
        self._site = site
        self._connections_there_are = connections
        self._options = options

    def __call__(self) -> Connection:
        """Return the protocol of a new connection."""
        return Connection(self, self._site, self._connections_there_are, loop=self._loop, **self._options)

    def connection_made(self, handler: web.RequestHandler, transport: Any) -> None:
        """Take a connection, or cut it at once when there are too many."""
        super().connection_made(handler, transport)
        self._connections_there_are.opened(cast("Connection", handler))

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """Let a connection go."""
        super().connection_lost(handler, exc)
        self._connections_there_are.closed(cast("Connection", handler))


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.Request:
    if (message.upgrade or hdrs.EXPECT in message.headers) and payload is not EMPTY_PAYLOAD:
        # Nobody knows where the next request would begin.
        message = message._replace(should_close=True)
    elif message.upgrade and message.headers.get(hdrs.UPGRADE, "").lower() != IGNORED_UPGRADE:
        message = message._replace(should_close=True)
    return web.Request(message, payload, protocol, writer, task, asyncio.get_running_loop())


@asynccontextmanager
async def serving(
    site: Site, listener: socket.socket, connections: Connections, keepalive_seconds: float
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Serve the site until the block ends, then let requests finish within the limit.

    Yields what closes the listener and takes in what had come until then; without it the end is less gentle.
    """
    server = Server(
        site,
        connections,
        access_log=None,
        keepalive_timeout=keepalive_seconds,
        lingering_time=LINGERING_SECONDS,
        max_line_size=MAX_LINE_BYTES,
        max_field_size=MAX_FIELD_BYTES,
        max_headers=MAX_HEADERS,
        auto_decompress=False,
    )
    runner = web.ServerRunner(server, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    watching = asyncio.create_task(connections.watch())
    try:
        listening = web.SockSite(runner, listener, backlog=TAKEN_AT_ONCE)
        await listening.start()
        listener.listen(BACKLOG)
        yield partial(_listen_no_more, listening, listener, server)
    finally:
        watching.cancel()
        await runner.cleanup()


async def _listen_no_more(listening: web.SockSite, listener: socket.socket, server: Server) -> None:
    """Close the listener, and return when the requests of those who had connected have come.

    The kernel resets connections that it holds for a listener which is closed, so they are taken first.
    """
    taken = []
    with suppress(BlockingIOError):
        while True:
            taken.append(listener.accept()[0])
    await listening.stop()
    loop = asyncio.get_running_loop()
    for connection in taken:
        connection.setblocking(False)  # noqa: FBT003 - its only argument, and it takes no name
        with suppress(OSError):  # it is gone again
            await loop.connect_accepted_socket(server, connection)
    await asyncio.sleep(ARRIVING_SECONDS)


def listen(host: str, port: int, *, is_shared: bool = False) -> socket.socket:
    """Return a listening socket; other processes can listen on the same port when it is shared.

    ServiceUnavailableError when the port is taken.
    """
    try:
        listener = listening_socket(host, port, backlog=BACKLOG, is_shared=is_shared)
    except OSError as error:
        cause = cause_of(error)
        raise ServiceUnavailableError(
            f"cannot listen on {host} port {port} ({cause}): end what uses it, or set API_HOST and API_PORT"
        ) from error
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; connections inherit it
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STALLED_MILLISECONDS)
    return listener


def address_of(listener: socket.socket) -> str:
    """Return the URL that a listening socket is reached by."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

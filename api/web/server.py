"""The HTTP server under the site: limits on what a client can hold, and errors for what never became a request."""

import resource
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import structlog
from aiohttp import web
from aiohttp.http_exceptions import BadHttpMethod, HttpProcessingError

from api.web.errors import BadRequestError, InternalError, MethodNotAllowedError, WebError
from api.web.headers import METHODS
from api.web.site import Site
from service.errors import ServiceUnavailableError

MAX_CONNECTIONS: Final = 4096
MAX_LINE_BYTES: Final = 8190
MAX_FIELD_BYTES: Final = 16 * 1024
MAX_HEADERS: Final = 100
KEEPALIVE_SECONDS: Final = 15
# How long a body that nobody asked for is read, so that its sender sees the answer.
LINGERING_SECONDS: Final = 2
# A client that takes nothing for this long loses its connection.
STALLED_MILLISECONDS: Final = 30_000
# Twice this is what ending takes at most: requests get as long to finish, and then to be cancelled.
SHUTDOWN_SECONDS: Final = 3
BACKLOG: Final = 1024

_SPARE_FILES: Final = 64
_log = structlog.get_logger(__name__)


class Connection(web.RequestHandler):
    """A client's connection; answers in the site's form also where aiohttp finds no request."""

    __slots__ = ("_site",)

    def __init__(self, server: "Server", site: Site, **options: Any) -> None:
        super().__init__(server, **options)
        self._site = site

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

    def __init__(self, site: Site, **options: Any) -> None:
        super().__init__(site.answer, request_factory=self._request, handler_cancellation=True)  # type: ignore[arg-type]
        self._site = site
        self._options = options
        self._open = 0

    def __call__(self) -> Connection:
        """Return the protocol of a new connection."""
        return Connection(self, self._site, loop=self._loop, **self._options)

    def connection_made(self, handler: web.RequestHandler, transport: Any) -> None:
        """Take a connection, or cut it at once when there are too many."""
        super().connection_made(handler, transport)
        self._open += 1
        if self._open > MAX_CONNECTIONS:
            transport.abort()

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """Let a connection go."""
        super().connection_lost(handler, exc)
        self._open -= 1

    def _request(self, message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.Request:
        return web.Request(message, payload, protocol, writer, task, self._loop)


@asynccontextmanager
async def serving(site: Site, listener: socket.socket) -> AsyncIterator[None]:
    """Serve the site until the block ends, then let requests finish within the limit."""
    server = Server(
        site,
        access_log=None,
        keepalive_timeout=KEEPALIVE_SECONDS,
        lingering_time=LINGERING_SECONDS,
        max_line_size=MAX_LINE_BYTES,
        max_field_size=MAX_FIELD_BYTES,
        max_headers=MAX_HEADERS,
        auto_decompress=False,
    )
    runner = web.ServerRunner(server, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        await web.SockSite(runner, listener, backlog=BACKLOG).start()
        yield
    finally:
        await runner.cleanup()


def listen(host: str, port: int, *, is_shared: bool = False) -> socket.socket:
    """Return a listening socket; other processes can listen on the same port when it is shared.

    ServiceUnavailableError when the port is taken.
    """
    _allow_open_files(MAX_CONNECTIONS + _SPARE_FILES)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG, reuse_port=is_shared)
    except OSError as error:
        cause = str(error.strerror).partition(" (")[0]
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


def _allow_open_files(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (count if hard == resource.RLIM_INFINITY else min(count, hard), hard)
        )

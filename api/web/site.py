"""The site: what every request passes through, whatever its path.

It finds the route, turns errors into responses, adds the common headers, and counts. Paths are compared as they were
sent: a path has one spelling, and `//`, `%2e%2e` and a trailing slash are other paths, which do not exist.
"""

from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter
from typing import Final

import structlog
from aiohttp import hdrs, web

from api.errors import ApiError, BadRequestError, MethodNotAllowedError, NotFoundError
from api.metrics import Metrics
from api.web.headers import METHODS, REQUEST_ID, CommonHeaders, Headers, preflight
from api.web.responses import error_response

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
COMMON_HEADERS: Final = web.RequestKey("common_headers", Headers)

_ALLOWED: Final = frozenset(METHODS.split(", "))
_UNKNOWN_ROUTE: Final = "unknown"
# Java's client offers HTTP/2 on each connection; RFC 9110 lets a server go on in HTTP/1.1.
_IGNORED_UPGRADE: Final = "h2c"
_log = structlog.get_logger(__name__)


class Site:
    """All routes, by path."""

    def __init__(self, routes: Mapping[str, Handler], common: CommonHeaders, metrics: Metrics) -> None:
        self._routes = routes
        self._common = common
        self._metrics = metrics

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer a request; the one thing it raises is that the client went away."""
        started = perf_counter()
        common = request[COMMON_HEADERS] = self._common.of(request)
        path, _ = path_and_query(request)
        handler = self._routes.get(path)
        response: web.StreamResponse
        try:
            response = await _checked(handler, request)(request)
        except ApiError as error:
            response = error_response(error)
        except ConnectionError:
            raise
        except Exception:  # noqa: BLE001 - whatever else it is, it is ours: logged, and answered with 500
            _log.exception("a request could not be answered", path=path, request_id=common[REQUEST_ID])
            response = error_response(ApiError("Internal error"))
        if not response.prepared:
            response.headers.update(common)
        route = _UNKNOWN_ROUTE if handler is None else path
        self._metrics.request(route, response.status, perf_counter() - started)
        return response


def path_and_query(request: web.BaseRequest) -> tuple[str, str]:
    """Return the path and the query string of a request as they were sent."""
    target = request.raw_path
    if not target.startswith("/"):  # the absolute form of RFC 9112, section 3.2.2
        target = request.rel_url.raw_path_qs
    path, _, query = target.partition("?")
    return path, query.partition("#")[0]


def _checked(handler: Handler | None, request: web.Request) -> Handler:
    """Return what answers the request; ApiError when nothing does."""
    if request.headers.get(hdrs.UPGRADE, _IGNORED_UPGRADE).lower() != _IGNORED_UPGRADE:
        raise BadRequestError("Upgrade is not supported")
    if handler is None:
        raise NotFoundError
    if request.method not in _ALLOWED:
        raise MethodNotAllowedError(METHODS)
    return preflight if request.method == hdrs.METH_OPTIONS else handler

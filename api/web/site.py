"""The site: what every request passes through, whatever its path.

It finds the route, turns errors into responses, adds the common headers, and counts. Paths are compared as they were
sent: a path has one spelling, and `//`, `%2e%2e` and a trailing slash are other paths, which do not exist.
"""

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Final

import structlog
from aiohttp import HttpVersion10, HttpVersion11, hdrs, web

from api.access_log import CUT, LEFT, STOPPED, TOO_SLOW, AccessLog
from api.ending import Ending
from api.exchange import Question, Room
from api.metrics import Metrics
from api.web.budget import SMALL_BYTES, Budget, Holding
from api.web.errors import BadRequestError, InternalError, MethodNotAllowedError, NotFoundError, WebError
from api.web.headers import METHODS, Common, CommonHeaders
from api.web.responses import Refusals, refuse
from api.web.routes import Route, preflight
from api.web.sending import EventStream, Streamed, Whole
from api.web.taking import Taking, TooSlowError

_UNKNOWN_ROUTE: Final = "unknown"
# Java's client offers HTTP/2 on each connection; RFC 9110 lets a server go on in HTTP/1.1.
IGNORED_UPGRADE: Final = "h2c"
_log = structlog.get_logger(__name__)


class Site:
    """All routes, by path, and what errors mean to a client."""

    def __init__(
        self,
        routes: Mapping[str, Route],
        refusals: Refusals,
        common: CommonHeaders,
        metrics: Metrics,
        *,
        access_log: AccessLog,
        ending: Ending,
    ) -> None:
        self._routes = routes
        self._refusals = refusals
        self._expected = tuple(refusals)
        self._common = common
        self._metrics = metrics
        self._access_log = access_log
        self._ending = ending
        self._budget = Budget(metrics)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer a request; the one thing it raises is that the client went away, or had to go."""
        with Holding(self._budget) as holding:
            run = _Run(request, self._common.of(request))
            question = _question(request, holding)
            route = self._routes.get(question.path)
            run.name = _UNKNOWN_ROUTE if route is None else question.path
            run.authorization = question.authorization
            try:
                return await self._sent(run, request, question, route, holding)
            except BaseException as error:
                run.ended = _what_happened(request, error)
                raise
            finally:
                self._tell(run)

    async def _sent(
        self, run: "_Run", request: web.Request, question: Question, route: Route | None, holding: Holding
    ) -> web.StreamResponse:
        """Return the response: sent as far as it is long, else ready to go out."""
        response = run.response = await self._response(request, question, route, run.common)
        if self._ending.is_asked and not request.protocol.has_more:  # type: ignore[attr-defined]
            response.force_close()
        kind = type(response)  # isinstance is slow with the classes of aiohttp
        if kind is EventStream:
            self._metrics.request(run.name, response.status, perf_counter() - run.started)
            try:
                await response.send(request, Taking(request, self._budget))  # type: ignore[attr-defined]
            finally:
                response.stream.close()  # type: ignore[attr-defined]
            return response
        if kind is Streamed:
            await response.send(request, holding, Taking(request, self._budget))  # type: ignore[attr-defined]
        self._metrics.request(run.name, response.status, perf_counter() - run.started)
        if kind is Whole and response.size > SMALL_BYTES:  # type: ignore[attr-defined]
            await response.send(request, Taking(request, self._budget))  # type: ignore[attr-defined]
        elif kind is Whole:
            self._budget.small()
        return response

    def _tell(self, run: "_Run") -> None:
        """Write the line of the access log, where there is one."""
        status = None if run.response is None else run.response.status
        if self._access_log.tells(status, run.ended):
            self._access_log.tell(
                request_id=run.common.request_id,
                method=run.request.method,
                path=run.name,
                authorization=run.authorization,
                status=status,
                seconds=perf_counter() - run.started,
                size=_size(run.request, run.response),
                ended=run.ended,
            )

    async def _response(
        self, request: web.Request, question: Question, route: Route | None, common: Common
    ) -> web.StreamResponse:
        """Return the response, with the common headers."""
        response: web.StreamResponse
        try:
            response = await _checked(route, request).answer(request, question)
            if type(response) is Streamed:
                question.room.begin()
        except self._expected as error:
            whole = response = refuse(error, self._refusals)
            if isinstance(error, BadRequestError):
                whole.force_close()
        except ConnectionError:
            raise
        except Exception:  # noqa: BLE001 - whatever else it is, it is ours: logged, and answered with 500
            _log.exception("a request could not be answered", path=question.path, request_id=common.request_id)
            response = refuse(InternalError(), self._refusals)
        if type(response) is Whole:
            response.common = common.lines
        else:
            common.add_to(response.headers)
        return response

    def refuse(self, request: web.BaseRequest, error: WebError) -> Whole:
        """Return the response to what never became a request."""
        run = _Run(request, self._common.of(request))
        response = run.response = refuse(error, self._refusals)
        response.common = run.common.lines
        self._tell(run)
        return response


class _Run:
    """A request on its way through the site."""

    __slots__ = ("authorization", "common", "ended", "name", "request", "response", "started")

    def __init__(self, request: web.BaseRequest, common: Common) -> None:
        self.started = perf_counter()
        self.request = request
        self.common = common
        self.name = _UNKNOWN_ROUTE
        self.authorization: Sequence[str] = ()
        self.response: web.StreamResponse | None = None
        self.ended: str | None = None


def _what_happened(request: web.BaseRequest, error: BaseException) -> str:
    """Return what became of an answer that did not come to its end."""
    if isinstance(error, TooSlowError):
        return TOO_SLOW
    if error.__cause__ is not None:
        return CUT
    return STOPPED if request.protocol.is_stopped else LEFT  # type: ignore[attr-defined]


def _size(request: web.BaseRequest, response: web.StreamResponse | None) -> int:
    """Return how many bytes a body has; of a stream, those that were sent, its head and framing among them."""
    if response is None or request.method == hdrs.METH_HEAD:
        return 0
    if isinstance(response, Whole):
        return response.size
    return response.content_length or request.writer.output_size


def _question(request: web.BaseRequest, room: Room) -> Question:
    target = request.raw_path
    if not target.startswith("/"):  # the absolute form of RFC 9112, section 3.2.2
        target = request.rel_url.raw_path_qs
    path, _, query = target.partition("?")
    return Question(path, query.partition("#")[0], request.headers.getall(hdrs.AUTHORIZATION, ()), room)


def _checked(route: Route | None, request: web.Request) -> Route:
    """Return what answers the request; WebError when nothing does."""
    if request.headers.get(hdrs.UPGRADE, IGNORED_UPGRADE).lower() != IGNORED_UPGRADE:
        raise BadRequestError("Upgrade is not supported")
    if request.version < HttpVersion10 or request.version > HttpVersion11:
        raise BadRequestError("This version of HTTP is not spoken here")
    if request.method == hdrs.METH_OPTIONS:  # also where nothing is, so that a page may read that
        return preflight(METHODS if route is None else route.methods)
    if route is None:
        raise NotFoundError
    if request.method not in route.methods.split(", "):
        raise MethodNotAllowedError(route.methods)
    return route

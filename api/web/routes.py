"""What answers at a path: an endpoint that is asked, a document, a stream, or a handler of aiohttp's own kind."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from aiohttp import hdrs, web

from api.exchange import Answer, Endpoint, Question, StreamEndpoint, StreamQuestion
from api.web.headers import GIVING_METHODS, METHODS, STREAM_METHODS, preflight_headers
from api.web.responses import respond
from api.web.sending import EventStream, Whole

_NO_CONTENT = 204
_LAST_EVENT_ID = "Last-Event-ID"


class Route(NamedTuple):
    """What answers, and to which methods."""

    answer: Callable[[web.Request, Question], Awaitable[web.StreamResponse]]
    methods: str = METHODS


def asked(endpoint: Endpoint, methods: str = METHODS) -> Route:
    """Return the route of an endpoint."""

    async def route(request: web.Request, question: Question) -> web.StreamResponse:
        return await respond(request, await endpoint(question), question.room)

    return Route(route, methods)


def giving(endpoint: Endpoint) -> Route:
    """Return the route of an endpoint that gives something out, each time something else."""
    return asked(endpoint, GIVING_METHODS)


def streaming(endpoint: StreamEndpoint) -> Route:
    """Return the route of an endpoint that streams."""

    async def route(request: web.Request, question: Question) -> web.StreamResponse:
        forwarded = request.headers.getall(hdrs.X_FORWARDED_FOR, ())
        last_event_id = request.headers.get(_LAST_EVENT_ID)
        stream = endpoint(StreamQuestion(question, last_event_id, request.remote or "", forwarded))
        return Whole(_NO_CONTENT) if stream is None else EventStream(stream)

    return Route(route, STREAM_METHODS)


def document(answer: Answer) -> Route:
    """Return the route of an answer that is always the same."""

    async def route(request: web.Request, question: Question) -> web.StreamResponse:
        return await respond(request, answer._replace(headers=answer.headers.copy()), question.room)

    return Route(route)


def handled(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> Route:
    """Return the route of a handler that makes its response itself."""

    async def route(request: web.Request, _: Question) -> web.StreamResponse:
        return await handler(request)

    return Route(route)


def preflight(methods: str) -> Route:
    """Return what answers OPTIONS where these methods are, which is what a browser asks before it sends credentials."""

    async def route(request: web.Request, _: Question) -> web.StreamResponse:
        asked_for = request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_HEADERS)
        return web.Response(status=204, headers=preflight_headers(asked_for, methods))

    return Route(route, methods)

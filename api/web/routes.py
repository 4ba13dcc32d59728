"""What answers at a path: an endpoint that is asked, a document, or a handler of aiohttp's own kind."""

from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web

from api.exchange import Answer, Endpoint, Question
from api.web.headers import preflight_headers
from api.web.responses import respond

Route = Callable[[web.Request, Question], Awaitable[web.StreamResponse]]


def asked(endpoint: Endpoint) -> Route:
    """Return the route of an endpoint."""

    async def route(request: web.Request, question: Question) -> web.StreamResponse:
        return await respond(request, await endpoint(question), question.room)

    return route


def document(answer: Answer) -> Route:
    """Return the route of an answer that is always the same."""

    async def route(request: web.Request, question: Question) -> web.StreamResponse:
        return await respond(request, answer._replace(headers=answer.headers.copy()), question.room)

    return route


def handled(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> Route:
    """Return the route of a handler that makes its response itself."""

    async def route(request: web.Request, _: Question) -> web.StreamResponse:
        return await handler(request)

    return route


async def preflight(request: web.Request, _: Question) -> web.StreamResponse:
    """Answer OPTIONS, which is also what a browser asks before it sends credentials."""
    asked_for = request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_HEADERS)
    return web.Response(status=204, headers=preflight_headers(asked_for))

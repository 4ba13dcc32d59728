"""From an answer, or from an error, to the response that goes out."""

import asyncio
from collections.abc import Mapping
from typing import Final, NamedTuple

import orjson
from aiohttp import hdrs, web
from multidict import CIMultiDict

from api.exchange import JSON, Answer, Headers, NoAnswerError, Room
from api.web.budget import SMALL_BYTES
from api.web.encoding import GZIP, MIN_GZIP_BYTES, accepts_gzip, etag_of, gzip, has_etag
from api.web.errors import MethodNotAllowedError
from api.web.headers import ETAG
from api.web.sending import Streamed, Whole

_OK: Final = 200
_NOT_MODIFIED: Final = 304


class Refusal(NamedTuple):
    """What an error means to a client."""

    status: int
    headers: Mapping[str, str] = {}


# By class; a class stands for those below it.
Refusals = Mapping[type[Exception], Refusal]


async def respond(request: web.BaseRequest, answer: Answer, room: Room) -> Whole | Streamed:
    """Return an answer in the encoding that the client accepts, or 304 when it has that already.

    The response takes the answer's headers over. A long body is hashed and compressed beside the loop; BusyError when
    there is no room for it.
    """
    body, headers, content_type = answer
    if not isinstance(body, bytes):
        headers[hdrs.CONTENT_TYPE] = content_type
        return Streamed(headers, body, is_gzip=_wants_gzip(request))
    if len(body) > SMALL_BYTES:
        room.hold(len(body))
        response = await asyncio.to_thread(_respond_whole, request, body, headers, content_type)
        room.hold(response.size)
        return response
    return _respond_whole(request, body, headers, content_type)


def _respond_whole(request: web.BaseRequest, body: bytes, headers: Headers, content_type: str) -> Whole:
    is_gzip = len(body) >= MIN_GZIP_BYTES and _wants_gzip(request)
    etag = headers[ETAG] = etag_of(body, is_gzip=is_gzip)
    known = request.headers.getall(hdrs.IF_NONE_MATCH, ())
    if known and has_etag(", ".join(known), etag):
        return Whole(_NOT_MODIFIED, headers)
    headers[hdrs.CONTENT_TYPE] = content_type
    if is_gzip:
        headers[hdrs.CONTENT_ENCODING] = GZIP
        body = gzip(body)
    return Whole(_OK, headers, body)


def refuse(error: Exception, refusals: Refusals) -> Whole:
    """Return an error as every endpoint returns it; its class, or one above it, stands in the table."""
    refusal = next(refusals[kind] for kind in type(error).__mro__ if kind in refusals)
    headers = CIMultiDict(refusal.headers)
    if isinstance(error, NoAnswerError):
        headers.update(error.headers)
    elif isinstance(error, MethodNotAllowedError):
        headers[hdrs.ALLOW] = error.allowed
    headers[hdrs.CONTENT_TYPE] = JSON
    return Whole(refusal.status, headers, orjson.dumps({"error": str(error)}))


def _wants_gzip(request: web.BaseRequest) -> bool:
    accepted = request.headers.getall(hdrs.ACCEPT_ENCODING, ())
    return bool(accepted) and accepts_gzip(", ".join(accepted))

"""From an answer, or from an error, to the response that goes out."""

import asyncio
from collections.abc import Mapping
from typing import Final, NamedTuple

import orjson
from aiohttp import hdrs, web
from multidict import CIMultiDict

from api.exchange import JSON, Answer, NoAnswerError, Room, lines_of
from api.web.budget import SMALL_BYTES
from api.web.encoding import GZIP, MIN_GZIP_BYTES, accepts_gzip, etag_of, gzip, has_etag
from api.web.errors import MethodNotAllowedError
from api.web.sending import Streamed, Whole

_OK: Final = 200
_NOT_MODIFIED: Final = 304
_GZIP_ENCODING: Final = f"Content-Encoding: {GZIP}\r\n".encode()


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
    body, headers, content_type, lines = answer
    if not isinstance(body, bytes):
        headers[hdrs.CONTENT_TYPE] = content_type
        return Streamed(headers, body, is_gzip=_wants_gzip(request))
    if headers:
        lines += lines_of(headers)
    if len(body) > SMALL_BYTES:
        room.hold(len(body))
        response = await asyncio.to_thread(_respond_whole, request, body, lines, content_type)
        room.hold(response.size)
        return response
    return _respond_whole(request, body, lines, content_type)


def _respond_whole(request: web.BaseRequest, body: bytes, lines: bytes, content_type: str) -> Whole:
    is_gzip = len(body) >= MIN_GZIP_BYTES and _wants_gzip(request)
    etag = etag_of(body, is_gzip=is_gzip)
    known = request.headers.getall(hdrs.IF_NONE_MATCH, ())
    if known and has_etag(", ".join(known), etag):
        return Whole(_NOT_MODIFIED, b"%bETag: %b\r\n" % (lines, etag.encode()))
    encoding = b""
    if is_gzip:
        encoding = _GZIP_ENCODING
        body = gzip(body)
    described = b"%bETag: %b\r\nContent-Type: %b\r\n%b" % (lines, etag.encode(), content_type.encode(), encoding)
    return Whole(_OK, described, body)


def refuse(error: Exception, refusals: Refusals) -> Whole:
    """Return an error as every endpoint returns it; its class, or one above it, stands in the table."""
    refusal = next(refusals[kind] for kind in type(error).__mro__ if kind in refusals)
    headers = CIMultiDict(refusal.headers)
    if isinstance(error, NoAnswerError):
        headers.update(error.headers)
    elif isinstance(error, MethodNotAllowedError):
        headers[hdrs.ALLOW] = error.allowed
    headers[hdrs.CONTENT_TYPE] = JSON
    return Whole(refusal.status, lines_of(headers), orjson.dumps({"error": str(error)}))


def _wants_gzip(request: web.BaseRequest) -> bool:
    accepted = request.headers.getall(hdrs.ACCEPT_ENCODING, ())
    return bool(accepted) and accepts_gzip(", ".join(accepted))

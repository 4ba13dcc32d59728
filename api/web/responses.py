"""Whole responses: a body that is at hand, with its entity tag and encoding, and errors."""

import time
from email.utils import formatdate
from functools import lru_cache
from typing import Final

import orjson
from aiohttp import HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from multidict import CIMultiDict

from api.errors import ApiError
from api.web.encoding import GZIP, MIN_GZIP_BYTES, accepts_gzip, etag_of, gzip, has_etag
from api.web.headers import ETAG, Headers

JSON: Final = "application/json"

_OK: Final = 200
_NOT_MODIFIED: Final = 304


class Whole(web.StreamResponse):
    """A response that is at hand and goes out in one piece.

    aiohttp's own Response takes 12 us to do this, a quarter of the time of a small answer; this one takes 5
    (measured). It writes what it is given: header values are made by us, or checked, and hold no line breaks.
    """

    def __init__(self, status: int, headers: Headers, body: bytes = b"") -> None:
        super().__init__(status=status, headers=headers)
        self._whole_body = body
        self._request: web.BaseRequest | None = None
        self._is_kept = True

    @property
    def keep_alive(self) -> bool:
        """Whether the connection goes on after this response."""
        return self._is_kept

    def force_close(self) -> None:
        """End the connection after this response."""
        self._is_kept = False

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Take note of the request; everything is written at the end."""
        self._request = request
        self._is_kept = self._is_kept and request.keep_alive
        return None

    async def write_eof(self, data: bytes = b"") -> None:  # noqa: ARG002 - it has its body already
        """Write the response; ConnectionResetError when the client is gone."""
        request = self._request
        if request is None or request.transport is None or request.transport.is_closing():
            raise ConnectionResetError
        body = b"" if request.method == hdrs.METH_HEAD else self._whole_body
        request.transport.write(self._head(request).encode() + body)
        await request.writer.drain()

    def _head(self, request: web.BaseRequest) -> str:
        lines = "\r\n".join(map(": ".join, self.headers.items()))
        length = "" if self.status == _NOT_MODIFIED else f"Content-Length: {len(self._whole_body)}\r\n"
        connection = ""
        if not self._is_kept:
            connection = "Connection: close\r\n"
        elif request.version < HttpVersion11:
            connection = "Connection: keep-alive\r\n"
        date = _date(int(time.time()))
        return f"HTTP/1.1 {self.status} {self.reason}\r\nDate: {date}\r\n{length}{connection}{lines}\r\n\r\n"


def respond(request: web.BaseRequest, body: bytes, headers: Headers) -> Whole:
    """Return the body in the encoding that the client accepts, or 304 when it has that already."""
    is_gzip = len(body) >= MIN_GZIP_BYTES and wants_gzip(request)
    etag = headers[ETAG] = etag_of(body, is_gzip=is_gzip)
    known = request.headers.getall(hdrs.IF_NONE_MATCH, ())
    if known and has_etag(", ".join(known), etag):
        del headers[hdrs.CONTENT_TYPE]
        return Whole(_NOT_MODIFIED, headers)
    if is_gzip:
        headers[hdrs.CONTENT_ENCODING] = GZIP
        body = gzip(body)
    return Whole(_OK, headers, body)


def wants_gzip(request: web.BaseRequest) -> bool:
    """Tell whether the client takes gzip."""
    accepted = request.headers.get(hdrs.ACCEPT_ENCODING)
    return accepted is not None and accepts_gzip(accepted)


def error_response(error: ApiError) -> Whole:
    """Return an error as every endpoint returns it."""
    headers = CIMultiDict({**error.headers, hdrs.CONTENT_TYPE: JSON})
    return Whole(error.status, headers, orjson.dumps({"error": str(error)}))


@lru_cache(maxsize=2)
def _date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)

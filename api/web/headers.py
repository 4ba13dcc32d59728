"""The headers that every response has, errors included."""

import os
import re
from collections.abc import Iterable
from itertools import count
from typing import Final, NamedTuple

from aiohttp import web
from multidict import CIMultiDict, istr

from api.exchange import Headers, lines_of
from api.settings import ANY_ORIGIN

ETAG: Final = istr("ETag")
REQUEST_ID: Final = istr("X-Request-Id")

METHODS: Final = "GET, HEAD, OPTIONS"
# Of a stream, whose head alone is nothing; and of what gives something out.
STREAM_METHODS: Final = "GET, OPTIONS"
GIVING_METHODS: Final = "POST, OPTIONS"
PREFLIGHT_SECONDS: Final = 3600
SERVER: Final = "operator-status"

# What a page may read of each response, with the headers that answers have of their own.
EXPOSED: Final = (ETAG, "Link", "Retry-After", "WWW-Authenticate", REQUEST_ID)

_SENT: Final = ("Authorization", "If-None-Match", REQUEST_ID, "Last-Event-ID")
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
_COMMON: Final = CIMultiDict(
    {
        "Server": SERVER,
        "Cache-Control": "private, no-cache",
        "Vary": "Authorization, Accept-Encoding, Origin",
        "X-Content-Type-Options": "nosniff",
    }
)
# Names of headers with commas between them (RFC 9110, section 5.6.2).
_HEADER_NAMES: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~, -]{1,2048}")
_ALLOW_ORIGIN: Final = istr("Access-Control-Allow-Origin")
_EXPOSE_HEADERS: Final = istr("Access-Control-Expose-Headers")
_ORIGIN: Final = istr("Origin")


def preflight_headers(asked: str | None, methods: str) -> dict[str, str]:
    """Return the headers of the answer to OPTIONS: whatever request headers a page asks for it may send.

    Nothing here depends on them, and many libraries send some of their own, for tracing or caching.
    """
    names = asked if asked and _HEADER_NAMES.fullmatch(asked) else ", ".join(_SENT)
    return {
        "Allow": methods,
        "Access-Control-Allow-Methods": methods,
        "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
        "Access-Control-Allow-Headers": names,
    }


class Common(NamedTuple):
    """The common headers of one response: those of all, also as lines that are ready to go out, and its own."""

    of_all: Headers
    lines_of_all: bytes
    own: Headers

    @property
    def request_id(self) -> str:
        """The id of the request."""
        return self.own[REQUEST_ID]

    @property
    def lines(self) -> bytes:
        """All of them as lines."""
        return self.lines_of_all + lines_of(self.own)

    def add_to(self, headers: Headers) -> None:
        """Add all of them to the headers of a response."""
        headers.update(self.of_all)
        headers.update(self.own)


class CommonHeaders:
    """Makes the common headers of a response to a request.

    Pages of these origins may read them, and those headers of the answers that are exposed.
    """

    def __init__(self, origins: frozenset[str], exposed: Iterable[str]) -> None:
        self._origins = origins
        self._common = _COMMON.copy()
        self._common[_EXPOSE_HEADERS] = ", ".join((*EXPOSED, *exposed))
        if ANY_ORIGIN in origins:
            self._common[_ALLOW_ORIGIN] = ANY_ORIGIN
        self._lines = lines_of(self._common)
        process = os.urandom(6).hex()
        self._ids = (f"{process}-{number:x}" for number in count(1))

    def of(self, request: web.BaseRequest) -> Common:
        """Return the common headers: the request's own id when it is a fit one, else a fresh one."""
        given = request.headers.get(REQUEST_ID)
        own = CIMultiDict({REQUEST_ID: given if given and _REQUEST_ID.fullmatch(given) else next(self._ids)})
        if _ORIGIN in request.headers and (origin := request.headers[_ORIGIN]) in self._origins:
            own[_ALLOW_ORIGIN] = origin
        return Common(self._common, self._lines, own)

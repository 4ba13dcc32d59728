"""The headers that every response has, errors included."""

import os
import re
from functools import lru_cache
from itertools import count
from typing import Final

from aiohttp import web
from multidict import CIMultiDict, istr

from api.projection.standing import Freshness
from api.settings import ANY_ORIGIN

ETAG: Final = istr("ETag")
REQUEST_ID: Final = istr("X-Request-Id")
LAG: Final = istr("Projection-Lag")
HEARTBEAT: Final = istr("Projection-Heartbeat")
GENERATION: Final = istr("Projection-Generation")
UNKNOWN: Final = "unknown"

METHODS: Final = "GET, HEAD, OPTIONS"
PREFLIGHT_SECONDS: Final = 3600
SERVER: Final = "operator-status"

_REMEMBERED: Final = 64
_EXPOSED: Final = (ETAG, "Link", "Retry-After", "WWW-Authenticate", REQUEST_ID, LAG, HEARTBEAT, GENERATION)
_SENT: Final = ("Authorization", "If-None-Match", REQUEST_ID, "Last-Event-ID")
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
_COMMON: Final = CIMultiDict(
    {
        "Server": SERVER,
        "Cache-Control": "private, no-cache",
        "Vary": "Authorization, Accept-Encoding, Origin",
        "X-Content-Type-Options": "nosniff",
        "Access-Control-Expose-Headers": ", ".join(_EXPOSED),
    }
)
_PREFLIGHT: Final = {
    "Allow": METHODS,
    "Access-Control-Allow-Methods": METHODS,
    "Access-Control-Allow-Headers": ", ".join(_SENT),
    "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
}
_ALLOW_ORIGIN: Final = istr("Access-Control-Allow-Origin")
_ORIGIN: Final = istr("Origin")

Headers = CIMultiDict[str]


class CommonHeaders:
    """Makes the common headers of a response to a request."""

    def __init__(self, origins: frozenset[str]) -> None:
        self._origins = origins
        self._common = _COMMON.copy()
        if ANY_ORIGIN in origins:
            self._common[_ALLOW_ORIGIN] = ANY_ORIGIN
        process = os.urandom(6).hex()
        self._ids = (f"{process}-{number:x}" for number in count(1))

    def of(self, request: web.BaseRequest) -> Headers:
        """Return the common headers: the request's own id when it is a fit one, else a fresh one."""
        headers = self._common.copy()
        given = request.headers.get(REQUEST_ID)
        headers[REQUEST_ID] = given if given and _REQUEST_ID.fullmatch(given) else next(self._ids)
        if _ORIGIN in request.headers and (origin := request.headers[_ORIGIN]) in self._origins:
            headers[_ALLOW_ORIGIN] = origin
        return headers


async def preflight(_: web.Request) -> web.Response:
    """Return the answer to OPTIONS, which is also what a browser asks before it sends credentials."""
    return web.Response(status=204, headers=_PREFLIGHT)


def freshness_headers(fresh: Freshness, generation: int) -> Headers:
    """Return what says how fresh an answer is."""
    return _freshness_headers(fresh, generation).copy()


@lru_cache(maxsize=_REMEMBERED)
def _freshness_headers(fresh: Freshness, generation: int) -> Headers:
    return CIMultiDict(
        {
            LAG: UNKNOWN if fresh.lag is None else str(fresh.lag),
            HEARTBEAT: fresh.heartbeat or UNKNOWN,
            GENERATION: str(generation),
        }
    )

"""Which encoding a client accepts (RFC 9110, section 12.5.3), and which it already has (section 13.1.2)."""

import asyncio
import re
import zlib
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from api.web.budget import SMALL_BYTES

GZIP: Final = "gzip"
# A smaller body costs more to compress than its bytes cost to send.
MIN_GZIP_BYTES: Final = 1024
# The fastest level: job lists repeat themselves so much that it already makes a tenth of them.
GZIP_LEVEL: Final = 1

_ETAG_BYTES: Final = 12
_ETAG: Final = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\U0010ffff]*")')
_QUALITY: Final = re.compile(r"[qQ]=([01](?:\.[0-9]{0,3})?)")


@lru_cache(maxsize=256)
def accepts_gzip(accept_encoding: str) -> bool:
    """Tell whether a client that sends this `Accept-Encoding` takes gzip."""
    qualities = dict(_quality(item) for item in accept_encoding.lower().split(","))
    return qualities.get(GZIP, qualities.get("x-gzip", qualities.get("*", 0.0))) > 0


class Compressor:
    """Makes a gzip stream out of pieces; the same pieces give the same bytes."""

    def __init__(self) -> None:
        self._stream = zlib.compressobj(GZIP_LEVEL, wbits=zlib.MAX_WBITS | 16)

    async def add(self, piece: bytes) -> bytes:
        """Return what goes out now that a piece was added; a long one is compressed beside the loop."""
        if len(piece) <= SMALL_BYTES:
            return self._stream.compress(piece)
        return await asyncio.to_thread(self._stream.compress, piece)

    def end(self) -> bytes:
        """Return the rest."""
        return self._stream.flush()


def gzip(body: bytes) -> bytes:
    """Return the body as gzip."""
    return zlib.compress(body, GZIP_LEVEL, wbits=zlib.MAX_WBITS | 16)


def etag_of(body: bytes, *, is_gzip: bool) -> str:
    """Return the strong entity tag of a body; each encoding has its own."""
    digest = blake2b(body, digest_size=_ETAG_BYTES).hexdigest()
    return f'"{digest}-{GZIP}"' if is_gzip else f'"{digest}"'


def has_etag(if_none_match: str, etag: str) -> bool:
    """Tell whether a client that sends this `If-None-Match` has the representation already."""
    return if_none_match.strip() == "*" or etag in _ETAG.findall(if_none_match)


def _quality(item: str) -> tuple[str, float]:
    coding, _, parameters = item.partition(";")
    match = _QUALITY.search(parameters)
    return coding.strip(), float(match[1]) if match else 1.0

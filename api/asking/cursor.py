"""Cursors: where the next page goes on, checksummed and bound to the query they belong to.

Nothing in them is secret and a crafted one grants nothing: each page applies the query and the caller's rights anew.
The checksum tells a cursor that was cut, mistyped or taken from another query from one that was given out.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from typing import Final

from api.projection.lookup import Place

_CHECKSUM_BYTES: Final = 9
_PAYLOAD: Final = re.compile(rb"(-?[0-9]{1,12})\.([!-~]{1,64})")


def encode_cursor(place: Place, query: str) -> str:
    """Return the cursor that goes on after this place; `query` names what it is bound to."""
    payload = f"{place.score}.{place.member}".encode()
    return urlsafe_b64encode(_checksum(payload, query) + payload).decode().rstrip("=")


def decode_cursor(cursor: str, query: str) -> Place:
    """Return the place to go on after; ValueError unless the cursor was given out for this very query."""
    try:
        whole = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except ValueError:
        whole = b""
    payload = whole[_CHECKSUM_BYTES:]
    match = _PAYLOAD.fullmatch(payload)
    if not match or whole[:_CHECKSUM_BYTES] != _checksum(payload, query):
        message = "not a cursor of this query"
        raise ValueError(message)
    place = Place(int(match[1]), match[2].decode())
    if encode_cursor(place, query) != cursor:  # base64 has several spellings of the same bytes
        message = "not as it was given out"
        raise ValueError(message)
    return place


def _checksum(payload: bytes, query: str) -> bytes:
    return blake2b(payload + b"\0" + query.encode(), digest_size=_CHECKSUM_BYTES).digest()

"""Positions: how far the feeds of a generation were followed, and the ids by which clients name that.

An id is opaque and bound to a query and a role by its checksum. Nothing in it is secret and a crafted one grants
nothing: query and role are looked at anew, and an entry that is not in the feed leads to a snapshot.
"""

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple

from api.projection.generation import Bucket, Generation
from api.projection.lookup import NO_ENTRY, FeedPlace

_CHECKSUM_BYTES: Final = 9
_INCARNATIONS_BYTES: Final = 8
# Whether all had ended, the generation, its incarnations; then, for each bucket, an entry of its feed: milliseconds in
# two parts, number and check.
_HEAD: Final = struct.Struct(f">BI{_INCARNATIONS_BYTES}s")
_PLACE: Final = struct.Struct(">HIII")
_LOW_BITS: Final = 32


class Position(NamedTuple):
    """An entry of the feed of each bucket that was asked, in the order of `Generation.asked`."""

    generation: int
    incarnations: bytes
    places: tuple[FeedPlace, ...]


# Where nothing can be gone on with: the client has yet to be told all of a snapshot. There is no generation 0.
NOWHERE: Final = Position(0, bytes(_INCARNATIONS_BYTES), (NO_ENTRY,))


class Id(NamedTuple):
    """What an id says: where to go on, and whether all jobs of the query had ended there."""

    position: Position
    has_ended: bool


def incarnations_of(generation: Generation) -> bytes:
    """Return what stands for the incarnations of all buckets."""
    return _incarnations(generation.buckets)


def encode_id(position: Position, binding: str, *, has_ended: bool = False) -> str:
    """Return the id of a position; `binding` names the query and the role it is for."""
    generation, incarnations, places = position
    payload = _HEAD.pack(has_ended, generation, incarnations) + b"".join(map(_packed, places))
    return urlsafe_b64encode(_checksum(payload, binding) + payload).decode().rstrip("=")


def decode_id(text: str, binding: str) -> Id:
    """Return what an id says; ValueError unless it was given out for this query and role."""
    whole = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    payload = whole[_CHECKSUM_BYTES:]
    count, rest = divmod(len(payload) - _HEAD.size, _PLACE.size)
    if count < 1 or rest or whole[:_CHECKSUM_BYTES] != _checksum(payload, binding):
        message = "not an id of this query"
        raise ValueError(message)
    has_ended, generation, incarnations = _HEAD.unpack_from(payload)
    places = tuple(_unpacked(*fields) for fields in _PLACE.iter_unpack(payload[_HEAD.size :]))
    return Id(Position(generation, incarnations, places), bool(has_ended))


def _packed(place: FeedPlace) -> bytes:
    milliseconds, number, check = place
    high, low = divmod(milliseconds, 1 << _LOW_BITS)
    return _PLACE.pack(high, low, number, int(check or "0", 16))


def _unpacked(high: int, low: int, number: int, check: int) -> FeedPlace:
    milliseconds = (high << _LOW_BITS) + low
    return FeedPlace(milliseconds, number, f"{check:08x}" if milliseconds else "")


def _checksum(payload: bytes, binding: str) -> bytes:
    return blake2b(payload + b"\0" + binding.encode(), digest_size=_CHECKSUM_BYTES).digest()


@lru_cache(maxsize=8)
def _incarnations(buckets: tuple[Bucket, ...]) -> bytes:
    joined = "\0".join(bucket.incarnation for bucket in buckets)
    return blake2b(joined.encode(), digest_size=_INCARNATIONS_BYTES).digest()

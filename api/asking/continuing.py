"""What a list says of where it stood: the id from which a stream goes on, and the position it was read at."""

from typing import Final

from multidict import istr

from api.asking.credentials import Caller
from api.asking.query import Query
from api.exchange import Headers
from api.following.position import Position, encode_id, incarnations_of
from api.projection.generation import Generation
from api.projection.lookup import FeedPlace
from api.projection.scan import Scan

CURSOR: Final = istr("Projection-Cursor")
POSITION: Final = istr("Projection-Position")
CONTINUING_HEADERS: Final = (CURSOR, POSITION)
# What a position is bound to that is nobody's in particular.
_ANY_QUERY: Final = ""


def binding_of(query: Query, caller: Caller) -> str:
    """Return what the ids of a stream are bound to: the query and the role."""
    return f"{'admin' if caller.is_admin else 'anyone'}\0{query.binding}"


def say_where(headers: Headers, scan: Scan, query: Query, caller: Caller) -> None:
    """Add both to the headers of a list; a list of the past is not gone on with."""
    position = position_at(scan.generation, tuple(scan.first_feeds.values()))
    headers[POSITION] = position_id(position)
    if (cursor := cursor_of(position, query, caller)) is not None:
        headers[CURSOR] = cursor


def position_at(generation: Generation, places: tuple[FeedPlace, ...]) -> Position:
    """Return the position of buckets that were asked, from the places of their feeds."""
    return Position(generation.number, incarnations_of(generation), places)


def position_id(position: Position) -> str:
    """Return what says where a list was read."""
    return encode_id(position, _ANY_QUERY)


def cursor_of(position: Position, query: Query, caller: Caller) -> str | None:
    """Return the id from which a stream goes on; None for a list of the past."""
    return encode_id(position, binding_of(query, caller)) if query.as_of is None else None

"""What is asked of a stream: the query of a list, and where the stream begins."""

from typing import Final, NamedTuple

from api.asking.errors import BadQueryError
from api.asking.query import Query, given_of, parse_query

LAST_EVENT_ID: Final = "lastEventId"
FROM: Final = "from"
TICKET: Final = "ticket"
PARAMETERS: Final = (LAST_EVENT_ID, FROM, TICKET)
NOW: Final = "now"
# An id grows with the number of buckets: it has room for three hundred of them.
MAX_CHARACTERS: Final = 6000

_ONLY_OF_LISTS: Final = ("asOf", "limit", "cursor")


class StreamQuery(NamedTuple):
    """The query, and how the stream begins: after an id, now, or with a snapshot."""

    query: Query
    last_event_id: str | None
    is_from_now: bool
    ticket: str | None


def parse_stream(raw: str, last_event_id: str | None) -> StreamQuery:
    """Return what a stream is asked; BadQueryError names the parameter that is wrong.

    The header wins over the parameter: a browser sends it when it connects again to the same address.
    """
    query = parse_query(raw)
    for name in _ONLY_OF_LISTS:
        if name in query.given:
            raise BadQueryError(f"{name}: not with a stream, which tells where jobs stand now")
    given = given_of(raw, PARAMETERS, MAX_CHARACTERS)
    if given.get(FROM, NOW) != NOW:
        raise BadQueryError(f"{FROM}: {NOW}, or not given")
    return StreamQuery(query, last_event_id or given.get(LAST_EVENT_ID), FROM in given, given.get(TICKET))

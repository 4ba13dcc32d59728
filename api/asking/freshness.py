"""The headers that say how fresh an answer is."""

from functools import lru_cache
from typing import Final

from multidict import CIMultiDict

from api.exchange import Headers
from api.projection.standing import Freshness
from schemas.event_time import iso_seconds, sortable_timestamp

LAG: Final = "Projection-Lag"
HEARTBEAT: Final = "Projection-Heartbeat"
GENERATION: Final = "Projection-Generation"
HELD: Final = "Projection-Held"
FRESHNESS_HEADERS: Final = (LAG, HEARTBEAT, HELD, GENERATION)
UNKNOWN: Final = "unknown"

_REMEMBERED: Final = 64


@lru_cache(maxsize=_REMEMBERED)
def freshness_headers(fresh: Freshness, generation: int) -> Headers:
    """Return what says how fresh an answer is; remembered, so to be copied before it is added to."""
    headers = CIMultiDict(
        {
            LAG: UNKNOWN if fresh.lag is None else str(fresh.lag),
            HEARTBEAT: UNKNOWN if fresh.heartbeat is None else iso(fresh.heartbeat),
            GENERATION: str(generation),
        }
    )
    if fresh.held:
        headers[HELD] = ", ".join(fresh.held)
    return headers


def refusal_headers(fresh: Freshness | None, generation: int | None) -> Headers:
    """Return what says how fresh the projection is that cannot be shown, as far as that is known."""
    if fresh is not None and generation is not None:
        return freshness_headers(fresh, generation)
    return CIMultiDict({LAG: UNKNOWN, HEARTBEAT: UNKNOWN})


def iso(unix_seconds: int) -> str:
    """Return a time as it is told to users."""
    return iso_seconds(sortable_timestamp(unix_seconds * 1000))

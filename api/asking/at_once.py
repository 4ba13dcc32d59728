"""Answers that one call to one bucket gave in full, as most are: made on a short way, once for all who share the call.

What they say is what `listing` says of the same rows, and `freshness` and `continuing` of where these stood.
"""

from typing import Final

import orjson
from multidict import CIMultiDict

from api.asking.continuing import CURSOR, POSITION, cursor_of, position_at, position_id
from api.asking.credentials import Caller
from api.asking.freshness import freshness_headers
from api.asking.listing import RETRY_AFTER, UNFINISHED_RETRY_SECONDS
from api.asking.query import Query
from api.exchange import Answer, lines_of
from api.following.position import Position
from api.metrics import Metrics
from api.projection.generation import Generation
from api.projection.lookup import FeedPlace, Portion
from api.projection.projection import First
from api.projection.standing import Freshness, freshness
from schemas.expiry import is_expired
from schemas.job_status import View, render
from schemas.lifecycle import FINISHED

# So many queries may share a call, and larger answers are made anew; what is remembered longer is of no use.
REMEMBERED: Final = 256
REMEMBERED_BYTES: Final = 16 * 1024

_FINISHED: Final = FINISHED.code
_NO_HEADERS: Final = CIMultiDict[str]()
_RETRY: Final = lines_of(CIMultiDict({RETRY_AFTER: str(UNFINISHED_RETRY_SECONDS)}))
_CURSOR: Final = f"{CURSOR}: ".encode()
# Where a bucket stood: how fresh that is, the generation, and the last entry of its feed.
_Stood = tuple[Freshness, Generation, FeedPlace]


class AtOnce:
    """Makes answers of portions."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        # By query and view, what was made for those who asked the same, and of what.
        self._made: dict[tuple[str, View], tuple[First, Answer]] = {}
        self._stood: _Stood | None = None
        self._position = Position(0, b"", ())
        self._lines = b""

    def answer(self, raw_query: str, query: Query, caller: Caller, view: View, first: First) -> Answer | None:
        """Return the answer to a query; None when what it was given at first is not all of it, or not whole."""
        generation, portion, _ = first
        made = self._made.get((raw_query, view))
        if made is not None and made[0].portion is portion and made[0].generation is generation:
            return made[1]
        if not portion.is_done or not portion.is_whole:
            return None
        rows = portion.rows
        if generation.cutoff:
            rows = [row for row in rows if not is_expired(row, generation.cutoff)]
        items = [item for row in rows if (item := render(row, view)) is not None]
        if query.limit is not None and len(items) > query.limit:
            return None
        lines = self._where(generation, portion)
        if (cursor := cursor_of(self._position, query, caller)) is not None:
            lines += b"%b%b\r\n" % (_CURSOR, cursor.encode())
        if not items or any([item["status"] != _FINISHED for item in items]):  # noqa: C419 - faster
            lines += _RETRY
        body = orjson.dumps(items)
        answer = Answer(body, _NO_HEADERS, lines=lines)
        if len(body) <= REMEMBERED_BYTES:
            if len(self._made) >= REMEMBERED:
                self._made.clear()
            self._made[raw_query, view] = first, answer
        return answer

    def _where(self, generation: Generation, portion: Portion) -> bytes:
        """Return the lines that say where a portion was read, and how fresh it is: mostly those of the one before."""
        fresh = freshness([portion.standing], portion.milliseconds)
        self._metrics.fresh(fresh.lag, fresh.held)
        stood = fresh, generation, portion.feed
        if stood != self._stood:
            headers = freshness_headers(fresh, generation.number).copy()
            self._position = position_at(generation, (portion.feed,))
            headers[POSITION] = position_id(self._position)
            self._stood, self._lines = stood, lines_of(headers)
        return self._lines

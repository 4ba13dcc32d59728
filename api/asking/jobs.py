"""The endpoints that list jobs: the same query, paging and streaming, each with its own rendering."""

import asyncio
from functools import lru_cache
from typing import Final

from multidict import istr

from api.asking.applied import Applied, are_applied
from api.asking.at_once import AtOnce
from api.asking.continuing import say_where
from api.asking.credentials import Caller, Credentials
from api.asking.freshness import HELD, freshness_headers, refusal_headers
from api.asking.listing import (
    RETRY_AFTER,
    UNFINISHED_RETRY_SECONDS,
    Listed,
    first_wanted,
    read_list,
    read_page,
)
from api.asking.query import Query, parse_query
from api.asking.telling import Telling
from api.exchange import Answer, Headers, NoAnswerError, Question
from api.metrics import Metrics
from api.projection.errors import (
    DamagedJobError,
    NotReadyError,
    StaleGenerationError,
    StoreUnavailableError,
    UnavailableError,
    UnconfirmedError,
)
from api.projection.projection import First, Projection
from api.projection.scan import Scan
from schemas.job_status import View

# What `Projection-Held` says of an answer that something was left out of.
DAMAGED_JOB: Final = "damaged-job"

_NOTHING: Final = b"[]"
_LINK: Final = istr("Link")
_view = lru_cache(maxsize=64)(View)


class Jobs:
    """An endpoint that lists jobs."""

    def __init__(
        self,
        projection: Projection,
        credentials: Credentials,
        metrics: Metrics,
        telling: Telling,
        applied: Applied,
        *,
        at_once: AtOnce | None = None,
    ) -> None:
        self._projection = projection
        self._credentials = credentials
        self._metrics = metrics
        self._telling = telling
        self._applied = applied
        self._at_once = at_once

    async def answer(self, question: Question) -> Answer:
        """Answer a question: one page, every match in one body, or a stream of them.

        RefusedError when it must be asked otherwise; NoAnswerError when there is no answer now.
        """
        try:
            return await self._answer(question)
        except UnavailableError as error:
            raise NoAnswerError(str(error), refusal_headers(error.freshness, error.generation)) from error

    async def _answer(self, question: Question) -> Answer:
        caller = self._credentials.caller(question.authorization)
        query = parse_query(question.raw_query)
        view = _view(caller.is_admin, query.dates, query.as_of)

        wanted = first_wanted(query.limit, question.room)
        first, stale_since = None, None
        if self._at_once is not None and not query.after:
            began = asyncio.get_running_loop().time()
            try:
                first = await self._first(query, wanted)
            except StaleGenerationError:
                stale_since = began
            if first and (answer := self._at_once.answer(question.raw_query, query, caller, view, first)):
                return answer
        scan = self._projection.begun(query.search, first) if first else await self._scan(query, wanted, stale_since)
        if query.after and not are_applied(query.after, scan.standings):
            await self._applied.wait(query.after, query.search.digest)
            scan = await self._scan(query, wanted)
        render = self._telling.renderer(scan, view)
        if query.limit is None:
            listed = await read_list(scan, render, question.room)
        else:
            listed = await read_page(scan, query.limit, render, question.room)
            if listed.met:
                self._metrics.limit_met(listed.met)
        headers = self._headers(query, caller, scan, listed)
        if listed.body == _NOTHING and listed.next is None:
            await self._telling.check_found(query, scan, headers)
        return Answer(listed.body, headers)

    async def _first(self, query: Query, wanted: int) -> First | None:
        try:
            return await self._projection.first(query.search, wanted)
        except StaleGenerationError:
            raise  # another one may be live, which is asked next
        except (NotReadyError, StoreUnavailableError, UnconfirmedError):
            self._metrics.unknown()
            raise

    async def _scan(self, query: Query, wanted: int, stale_since: float | None = None) -> Scan:
        try:
            return await self._projection.scan(self._telling.search(query), wanted, stale_since)
        except (NotReadyError, StoreUnavailableError, UnconfirmedError):
            self._metrics.unknown()
            raise

    def _headers(self, query: Query, caller: Caller, scan: Scan, listed: Listed) -> Headers:
        fresh = scan.freshness
        self._metrics.fresh(fresh.lag, fresh.held)
        headers = freshness_headers(fresh, scan.generation.number).copy()
        say_where(headers, scan, query, caller)
        if not scan.is_whole:
            if listed.body == _NOTHING:
                error = DamagedJobError()
                error.freshness, error.generation = fresh, scan.generation.number
                raise error
            held = {DAMAGED_JOB, *filter(None, headers.get(HELD, "").split(", "))}
            headers[HELD] = ", ".join(sorted(held))
        if listed.has_unfinished:
            headers[RETRY_AFTER] = str(UNFINISHED_RETRY_SECONDS)
        if listed.next is not None:
            # Relative to the request, so that it is right behind whatever a proxy puts in front of the path.
            headers[_LINK] = f'<?{query.going_on(listed.next)}>; rel="next"'
        return headers

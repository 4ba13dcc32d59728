"""The endpoints that list jobs: the same query, paging and streaming, each with its own rendering."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import lru_cache
from typing import Final

import structlog
from aiohttp import hdrs, web

from api.asking.credentials import Credentials
from api.asking.listing import CHUNK_JOBS, Chunk, Item, read_chunk, read_page, stream
from api.asking.query import next_page, parse_query
from api.metrics import Metrics
from api.projection.lookup import Row
from api.projection.projection import Projection
from api.projection.scan import Scan
from api.web.encoding import GZIP, compressor
from api.web.headers import REQUEST_ID, Headers, freshness_headers
from api.web.responses import JSON, respond, wants_gzip
from api.web.site import COMMON_HEADERS, path_and_query
from schemas.job_status import StoredJob, View

# When it pays to ask again about a job that is still on its way.
UNFINISHED_RETRY_SECONDS: Final = 1

_log = structlog.get_logger(__name__)
_view = lru_cache(maxsize=64)(View)


class Jobs:
    """An endpoint that lists jobs."""

    def __init__(
        self,
        projection: Projection,
        credentials: Credentials,
        metrics: Metrics,
        render: Callable[[StoredJob, View], Item | None],
    ) -> None:
        self._projection = projection
        self._credentials = credentials
        self._metrics = metrics
        self._render = render

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer a request: one page, every match in one body, or a stream of them."""
        caller = self._credentials.caller(request.headers.getall(hdrs.AUTHORIZATION, ()))
        path, raw_query = path_and_query(request)
        query = parse_query(raw_query)
        view = _view(caller.is_admin, query.dates, query.as_of)

        def render(row: Row) -> Item | None:
            return self._render(row, view)

        wanted = CHUNK_JOBS if query.limit is None else query.limit + 1
        scan = await self._projection.scan(query.indexes, query.digest, query.after, wanted)
        if query.limit is not None:
            page = await read_page(scan, query.limit, render)
            link = f'<{path}?{next_page(query, page.next)}>; rel="next"' if page.next else None
            return respond(request, page.chunk.array(), self._headers(scan, page.chunk, link))
        chunk = await read_chunk(scan, render)
        headers = self._headers(scan, chunk)
        if scan.is_done:
            return respond(request, chunk.array(), headers)
        headers.popall(hdrs.RETRY_AFTER, None)
        return await _streamed(request, headers, stream(chunk, scan, render))

    def _headers(self, scan: Scan, chunk: Chunk, link: str | None = None) -> Headers:
        fresh = scan.freshness
        self._metrics.lag(fresh.lag)
        headers = freshness_headers(fresh, scan.generation.number)
        headers[hdrs.CONTENT_TYPE] = JSON
        if chunk.has_unfinished:
            headers[hdrs.RETRY_AFTER] = str(UNFINISHED_RETRY_SECONDS)
        if link is not None:
            headers[hdrs.LINK] = link
        return headers


async def _streamed(request: web.Request, headers: Headers, pieces: AsyncGenerator[bytes, None]) -> web.StreamResponse:
    """Send an answer that is too long to be held in memory.

    When it cannot be finished the connection is cut without the final chunk, so that nobody takes a part of the array
    for the whole.
    """
    response = web.StreamResponse(headers=headers)
    response.headers.update(request[COMMON_HEADERS])
    is_gzip = wants_gzip(request)
    if is_gzip:
        response.headers[hdrs.CONTENT_ENCODING] = GZIP
    await response.prepare(request)
    if request.method == hdrs.METH_HEAD:
        return response
    pack = compressor()
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                if data := pack.compress(piece) if is_gzip else piece:
                    await response.write(data)
        if is_gzip:
            await response.write(pack.flush())
    except ConnectionError:
        raise  # the client went away
    except Exception as error:
        _log.warning("an answer was cut", request_id=response.headers[REQUEST_ID], reason=repr(error))
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError from error
    return response

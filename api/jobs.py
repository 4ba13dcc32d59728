"""The endpoints that list jobs: the same query, paging and streaming, each with its own rendering."""

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from aiohttp import hdrs, web

from api.credentials import Credentials
from api.encoding import GZIP, compressor
from api.errors import UnavailableError
from api.headers import Headers, freshness_headers
from api.listing import CHUNK_JOBS, Chunk, Item, Render, read_chunk, read_page, stream
from api.lookup import Row
from api.metrics import Metrics
from api.projection import Projection
from api.query import Query, next_page, parse_query
from api.responses import JSON, wants_gzip, whole
from api.scan import Scan
from api.site import COMMON_HEADERS, path_and_query
from schemas.job_status import StoredJob, View

# When it pays to ask again about a job that is still on its way.
UNFINISHED_RETRY_SECONDS: Final = 1

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
            return await self._page(request, path, query, query.limit, scan, render)
        chunk = await read_chunk(scan, render)
        headers = self._headers(scan, has_unfinished=chunk.has_unfinished)
        if scan.is_done:
            return whole(request, b"[" + chunk.json() + b"]", headers)
        headers.popall(hdrs.RETRY_AFTER, None)
        return await _streamed(request, headers, chunk, scan, render)

    async def _page(
        self, request: web.Request, path: str, query: Query, limit: int, scan: Scan, render: Render
    ) -> web.StreamResponse:
        page = Chunk()
        items, after = await read_page(scan, limit, render)
        page.add(items)
        headers = self._headers(scan, has_unfinished=page.has_unfinished)
        if after is not None:
            headers[hdrs.LINK] = f'<{path}?{next_page(query, after)}>; rel="next"'
        return whole(request, b"[" + page.json() + b"]", headers)

    def _headers(self, scan: Scan, *, has_unfinished: bool) -> Headers:
        fresh = scan.freshness
        self._metrics.lag(fresh.lag)
        headers = freshness_headers(fresh, scan.generation.number)
        headers[hdrs.CONTENT_TYPE] = JSON
        if has_unfinished:
            headers[hdrs.RETRY_AFTER] = str(UNFINISHED_RETRY_SECONDS)
        return headers


async def _streamed(
    request: web.Request, headers: Headers, first: Chunk, scan: Scan, render: Render
) -> web.StreamResponse:
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
        async for piece in stream(first, scan, render):
            if data := pack.compress(piece) if is_gzip else piece:
                await response.write(data)
        if is_gzip:
            await response.write(pack.flush())
    except UnavailableError as error:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError(str(error)) from error
    return response

"""Asking the API over HTTP, and telling apart why it does not answer."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
import orjson
from httpx_sse import EventSource, aconnect_sse

from service.version import __version__
from worker.watching.asking.errors import NoAnswerError, NotNowError, NotOfferedError, RefusedError
from worker.watching.job import Job, of_timeline
from worker.watching.matches import Query
from worker.watching.settings import WatchSettings

LIST: Final = "/api/v1/operator/status"
TIMELINE: Final = f"{LIST}/timeline"
STREAM: Final = f"{LIST}/events"

ANSWER_SECONDS: Final = 15.0
# A stream says something every 15 s; who hears nothing for so long has lost it.
SILENCE_SECONDS: Final = 40.0
PAGE_JOBS: Final = 1000
MAX_WATCHED_JOBS: Final = 10_000
# How soon it may pay to ask again, whatever the API says.
LEAST_PAUSE_SECONDS: Final = 0.5
MAX_RETRY_AFTER_SECONDS: Final = 60.0
STANDING_PAUSE_SECONDS: Final = 5.0  # when the API says nothing of asking again: all jobs have ended

_GONE: Final = {404, 410}
_NOT_OFFERED: Final = {404, 405, 406, 501}
_NOT_NOW: Final = {429, 503}
_REFUSED: Final = range(400, 500)


class Api:
    """An API: what it says of jobs."""

    def __init__(self, client: httpx.AsyncClient, address: str) -> None:
        """Ask by this client."""
        self._client = client
        self.address = address

    async def timelines(self, query: Query) -> tuple[list[Job], float]:
        """Return all that match a query, with their stories, and after how many seconds it pays to ask again."""
        jobs: list[Job] = []
        address: httpx.URL | str = self.address + TIMELINE
        parameters: dict[str, Any] | None = {**query.parameters, "limit": PAGE_JOBS}
        pause = STANDING_PAUSE_SECONDS
        while True:
            answer = await self._get(address, parameters)
            if answer.status_code in _GONE and not jobs:
                return await self._none(query, answer), LEAST_PAUSE_SECONDS * 2
            _check(answer)
            jobs += _jobs_in(answer)
            if len(jobs) > MAX_WATCHED_JOBS:
                raise RefusedError(f"more than {MAX_WATCHED_JOBS} jobs match {query.name}: name an agreement or a job")
            pause = min(pause, _retry_after(answer, STANDING_PAUSE_SECONDS))
            following = answer.links.get("next", {}).get("url")
            if following is None:
                return jobs, pause
            address, parameters = answer.url.join(following), None

    @asynccontextmanager
    async def stream(self, query: Query, last_id: str) -> AsyncIterator[EventSource]:
        """Open the stream of a query, to go on after an event; NotOfferedError when there is none here."""
        headers = {"Last-Event-ID": last_id} if last_id else {}
        timeout = httpx.Timeout(ANSWER_SECONDS, read=SILENCE_SECONDS)
        address, parameters = self.address + STREAM, query.parameters
        try:
            async with aconnect_sse(
                self._client, "GET", address, params=parameters, headers=headers, timeout=timeout
            ) as source:
                if source.response.status_code in _NOT_OFFERED or not _is_stream(source.response):
                    raise NotOfferedError
                if source.response.status_code not in {200, 204}:
                    await source.response.aread()
                    _check(source.response)
                yield source
        except httpx.TransportError as error:
            raise _no_answer(self.address, error) from error

    async def _get(self, address: httpx.URL | str, parameters: Mapping[str, Any] | None) -> httpx.Response:
        try:
            return await self._client.get(address, params=parameters)
        except (httpx.TransportError, httpx.DecodingError, httpx.TooManyRedirects) as error:
            raise _no_answer(self.address, error) from error

    async def _none(self, query: Query, answer: httpx.Response) -> list[Job]:
        """Return no job when the list agrees that none matches; a timeline says 404 of these, as of a wrong address."""
        listed = await self._get(self.address + LIST, {**query.parameters, "limit": 1})
        if listed.status_code in _GONE:
            raise RefusedError(f"there is no API at {self.address} ({listed.status_code}): set API_URL")
        _check(listed)
        if _array(listed):
            raise NotNowError(_error_of(answer) or "a job is listed and has no timeline", LEAST_PAUSE_SECONDS)
        return []


@asynccontextmanager
async def connected(settings: WatchSettings) -> AsyncIterator[Api]:
    """Yield the API of the settings."""
    headers = {"User-Agent": f"operator-status-watch/{__version__}"}
    if settings.api_token:
        headers["Authorization"] = f"Bearer {settings.api_token.get_secret_value()}"
    limits = httpx.Limits(max_connections=None)  # a stream for each job that is named, and what is asked beside it
    async with httpx.AsyncClient(
        headers=headers, timeout=ANSWER_SECONDS, limits=limits, follow_redirects=True
    ) as client:
        yield Api(client, settings.api_url)


def _is_stream(response: httpx.Response) -> bool:
    """Tell whether an answer is a stream, or says why there is none."""
    kind = response.headers.get("Content-Type", "")
    return response.status_code != httpx.codes.OK or kind.startswith("text/event-stream")


def _check(answer: httpx.Response) -> None:
    """Raise what an answer other than 200 means."""
    status, said = answer.status_code, _error_of(answer)
    if status == httpx.codes.OK:
        return
    if status in _NOT_NOW and said:
        raise NotNowError(said, _retry_after(answer, STANDING_PAUSE_SECONDS))
    if status in _REFUSED and said:
        advice = ": set API_TOKEN" if status == httpx.codes.UNAUTHORIZED else ""
        raise RefusedError(f"the API refuses with {status}: {said}{advice}")
    raise NoAnswerError(f"{answer.url.copy_with(query=None)} answers {status}")


def _error_of(answer: httpx.Response) -> str:
    """Return the error's sentence as the API writes it; empty when the answer is somebody else's."""
    try:
        return str(orjson.loads(answer.content)["error"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ""


def _array(answer: httpx.Response) -> list[Any]:
    try:
        found = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, list):
        raise NoAnswerError(f"{answer.url.copy_with(query=None)} answers with no list of jobs")
    return found


def _jobs_in(answer: httpx.Response) -> list[Job]:
    try:
        return [of_timeline(item) for item in _array(answer)]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NoAnswerError(f"{answer.url.copy_with(query=None)} answers with what is no job: {error!r}") from error


def _retry_after(answer: httpx.Response, otherwise: float) -> float:
    try:
        seconds = float(answer.headers.get("Retry-After", otherwise))
    except ValueError:  # a date, as proxies may write
        seconds = otherwise
    return min(max(seconds, LEAST_PAUSE_SECONDS), MAX_RETRY_AFTER_SECONDS)


def _no_answer(address: str, error: Exception) -> NoAnswerError:
    why = str(error) or type(error).__name__
    return NoAnswerError(f"{address}: {why}")

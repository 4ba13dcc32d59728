"""What tests use to speak to the API: a client that hides nothing, and raw bytes."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

import aiohttp
import orjson
from multidict import CIMultiDictProxy
from yarl import URL

STATUS = "/api/v1/operator/status"
TIMELINE = "/api/v1/operator/status/timeline"
STREAM = "/api/v1/operator/status/events"
TICKET = "/api/v1/operator/status/events/ticket"
_SECONDS = 30


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, its body as it came."""

    target: str
    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    def json(self) -> Any:
        """Return what the body says."""
        return orjson.loads(self.body)

    @property
    def error(self) -> str:
        """The error's sentence."""
        assert list(self.json()) == ["error"], self.body
        text: str = self.json()["error"]
        return text


class Client:
    """Asks an API."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.host, self.port = urlsplit(url).hostname, urlsplit(url).port
        self.session = aiohttp.ClientSession(
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(_SECONDS),
            connector=aiohttp.TCPConnector(limit=0, force_close=False),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.session.close()

    async def request(self, method: str, target: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Ask for a target exactly as it is written."""
        sent = {"Accept-Encoding": "identity"} | dict(headers or {})
        url = URL(self.url + target, encoded=True)
        async with self.session.request(method, url, headers=sent, allow_redirects=False) as answer:
            return Answer(target, answer.status, answer.headers, await answer.read())

    async def get(self, target: str, **headers: str) -> Answer:
        """Ask for a target; `If_None_Match` is written for the header If-None-Match."""
        return await self.request("GET", target, {name.replace("_", "-"): value for name, value in headers.items()})

    async def status(self, query: str, **headers: str) -> Answer:
        """Ask where jobs stand."""
        return await self.get(f"{STATUS}?{query}", **headers)

    async def round_trips(self) -> float:
        """Return how often this API has asked Redis for jobs."""
        metrics = (await self.get("/metrics")).body.decode()
        return float(metrics.partition("\napi_queries_per_round_trip_count ")[2].partition("\n")[0])

    async def jobs(self, query: str, **headers: str) -> list[dict[str, Any]]:
        """Return the jobs of an answer that must be good."""
        answer = await self.status(query, **headers)
        assert answer.status == 200, answer.body
        jobs: list[dict[str, Any]] = answer.json()
        return jobs

    async def raw(self, sent: bytes, seconds: float = 5) -> bytes:
        """Send bytes and return everything that comes back until the connection is closed."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            writer.write(sent)
            async with asyncio.timeout(seconds):
                return await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()


# Starts an API on a projection, by its prefix, with settings by their names.
StartApi = Callable[..., Awaitable[Client]]


def next_page(answer: Answer) -> str | None:
    """Return the target of the next page, when there is one."""
    link = answer.headers.get("Link")
    if link is None:
        return None
    target, _, relation = link.partition(">; ")
    assert relation == 'rel="next"', link
    return urljoin(answer.target, target.removeprefix("<"))

"""A client of streams that keeps all it was told, block by block, as the bytes say it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import aiohttp
import orjson
from yarl import URL

from tests.support.client import STREAM, Client
from tests.support.waiting import until

SECONDS = 30


class Event(NamedTuple):
    """An event as it was told, and the last id that was known with it."""

    name: str
    data: Any
    id: str | None


@dataclass
class EventSource:
    """A stream that is read in the background."""

    status: int
    headers: Mapping[str, str]
    events: list[Event] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    last_id: str | None = None
    retry: str | None = None
    is_closed: bool = False
    bookmarks: int = 0

    def take(self, block: str) -> None:
        """Take a block in, as a browser does."""
        name, data = "message", []
        for line in block.split("\n"):
            key, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if not key:
                self.comments.append(value)
            elif key == "id":
                self.last_id = value
            elif key == "event":
                name = value
            elif key == "retry":
                self.retry = value
            elif key == "data":
                data.append(value)
        if data:
            self.events.append(Event(name, orjson.loads("\n".join(data)), self.last_id))
        elif self.last_id and "id:" in block:
            self.bookmarks += 1

    def named(self, name: str) -> list[Any]:
        """Return the data of all events of a name."""
        return [event.data for event in self.events if event.name == name]

    def statuses_of(self, job_id: str) -> list[int]:
        """Return every status of a job that was told, in order, in snapshots and after them."""
        told: list[int] = []
        for name, data, _ in self.events:
            if name not in {"snapshot", "status"}:
                continue
            parts = [data] if name == "status" else (data if isinstance(data, list) else data["jobs"])
            told += [item["job"]["status"] for item in parts if item["job"]["jobId"] == job_id]
        return told

    @property
    def names(self) -> list[str]:
        """The names of all events."""
        return [event.name for event in self.events]

    @property
    def told(self) -> list[str]:
        """The names of all events about jobs: on a busy machine whoever confirms the projection may be late."""
        return [name for name in self.names if name not in {"stale", "fresh"}]

    async def has(self, name: str, count: int = 1) -> list[Any]:
        """Wait until there are so many events of a name; return their data."""

        async def told() -> bool:
            return len(self.named(name)) >= count

        await until(told, f"{count} x {name}, told were {self.names}", SECONDS)
        return self.named(name)

    async def tells(self, job_id: str, status: int) -> None:
        """Wait until the last that was told of a job is this status."""

        async def told() -> bool:
            return self.statuses_of(job_id)[-1:] == [status]

        await until(told, f"{job_id} at {status}, told were {self.statuses_of(job_id)} by {self.names}", SECONDS)

    async def closed(self) -> None:
        """Wait until the server has closed it."""

        async def over() -> bool:
            return self.is_closed

        await until(over, f"the stream is closed, told were {self.names}", SECONDS)

    async def is_joined(self) -> None:
        """Wait until the stream is live: it says so by a block that is an id alone."""

        async def told() -> bool:
            return self.bookmarks > 0

        await until(told, f"it is live, told were {self.names}", SECONDS)


@asynccontextmanager
async def event_source(api: Client | str, query: str, **headers: str) -> AsyncIterator[EventSource]:
    """Open a stream; `Last_Event_ID` is written for the header Last-Event-ID."""
    url = URL(f"{api if isinstance(api, str) else api.url}{STREAM}?{query}", encoded=True)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None), read_bufsize=2**22) as session,
        session.get(url, headers=sent) as answer,
    ):
        source = EventSource(answer.status, answer.headers)
        reading = asyncio.create_task(_read(answer, source))
        try:
            yield source
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


async def _read(answer: aiohttp.ClientResponse, source: EventSource) -> None:
    text = ""
    try:
        async for chunk in answer.content.iter_any():
            text += chunk.decode()
            *blocks, text = text.split("\n\n")
            for block in blocks:
                source.take(block)
    except aiohttp.ClientError:
        source.comments.append("cut")
    source.is_closed = True

"""A server that says what a script has: a stream of events for each connection, and timelines; and who listens."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

from schemas.lifecycle import STAGES
from worker.watching.asking.api import LIST, STREAM, TIMELINE, connected
from worker.watching.ending import Ended
from worker.watching.job import Job
from worker.watching.matches import Query
from worker.watching.settings import WatchSettings
from worker.watching.verdict import Goal, Wait
from worker.watching.watch import Watch

WATCH_SECONDS = 30.0


def status(job_id: str, code: int) -> dict[str, Any]:
    """Return the object of a job in the list."""
    finished = "2020-10-01T01:09:00Z" if code == 5 else None
    names = {"owner": "0x1111", "agreementId": "0x2222", "jobId": job_id}
    return {**names, "dateCreated": "2020-10-01T01:00:00Z", "dateFinished": finished} | {
        "status": code,
        "statusText": STAGES[code - 1].text,
        "configlogURL": None,
        "publishlogURL": None,
        "algologURL": None,
        "outputsURL": [],
    }


def timeline(job_id: str, *codes: int, attempt: int = 1, outcome: str = "succeeded", **more: Any) -> dict[str, Any]:
    """Return the object of a job in the timeline."""
    stages = [
        {"status": code, "statusText": STAGES[code - 1].text, "date": f"2020-10-01T01:0{code}:00Z"} for code in codes
    ]
    names = {"owner": "0x1111", "agreementId": "0x2222", "jobId": job_id, "attempt": attempt}
    ended = {"message": None, "error": None, "outcome": outcome if codes[-1] == 5 else None}
    return {**names, "status": codes[-1], "statusText": STAGES[codes[-1] - 1].text, "stages": stages, **ended, **more}


def event(kind: str, data: Any, identifier: str = "") -> bytes:
    """Return the bytes of an event."""
    named = f"id: {identifier}\n" if identifier else ""
    return f"{named}event: {kind}\n".encode() + b"data: " + orjson.dumps(data) + b"\n\n"


@dataclass
class Script:
    """What a server says: a list of bytes for each connection to its stream, in turn, and its timelines."""

    connections: list[Sequence[bytes]] = field(default_factory=list)
    timelines: list[dict[str, Any]] = field(default_factory=list)
    refusals: list[tuple[int, str]] = field(default_factory=list)  # what is answered before timelines are
    stays_open: bool = False
    at_connection: dict[int, Callable[[], None]] = field(default_factory=dict)
    is_over: asyncio.Event = field(default_factory=asyncio.Event)
    tokens: list[str] = field(default_factory=list)
    asked_with: list[str] = field(default_factory=list)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Say what the next connection is to hear; 404 when there is nothing left to say."""
        if not self.connections:
            raise web.HTTPNotFound
        self.asked_with.append(request.headers.get("Last-Event-ID", ""))
        self.at_connection.get(len(self.asked_with), _nothing)()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for data in self.connections.pop(0):
            await response.write(data)
        if self.stays_open:
            await self.is_over.wait()
        return response

    async def timeline(self, request: web.Request) -> web.Response:
        """Return the next refusal, else the timelines that the query names, as they stand now."""
        self.tokens.append(request.headers.get("Authorization", ""))
        if self.refusals:
            code, text = self.refusals.pop(0)
            return web.Response(status=code, text=text, headers={"Retry-After": "0.5"})
        wanted = request.query.get("jobId")
        found = [job for job in self.timelines if wanted in {None, job["jobId"]}]
        return web.json_response(found, headers={"Retry-After": "0.5"})

    async def list(self, _: web.Request) -> web.Response:
        """Return that there is none."""
        return web.json_response([])


@asynccontextmanager
async def playing(script: Script) -> AsyncIterator[str]:
    """Yield the address of a server that follows the script."""
    application = web.Application()
    application.add_routes(
        [web.get(STREAM, script.stream), web.get(TIMELINE, script.timeline), web.get(LIST, script.list)]
    )
    runner = web.AppRunner(application, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        script.is_over.set()
        await runner.cleanup()


def _nothing() -> None:
    pass


class Heard:
    """Keeps what is told."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.dropped: list[Job] = []
        self.said: list[str] = []

    def __enter__(self) -> "Heard":  # noqa: PYI034 - final
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def draw(self) -> None:
        """Draw nothing."""

    def told(self, job: Job) -> None:
        """Keep it."""
        self.jobs.append(job)

    def gone(self, job: Job) -> None:
        """Keep it."""
        self.dropped.append(job)

    def say(self, sentence: str) -> None:
        """Keep it."""
        self.said.append(sentence)

    def end(self, ended: Ended, *_: Any) -> None:
        """Keep nothing."""


async def watch(
    script: Script,
    *queries: Query,
    heard: Heard | None = None,
    faults: int = 3,
    limit_seconds: float = WATCH_SECONDS,
    **goal: Any,
) -> Ended:
    """Watch a server that follows the script until it is decided how that ends."""
    wait = Wait(queries or [Query(job_id="3333")], Goal(**goal), limit_seconds, faults)
    async with playing(script) as address, connected(WatchSettings(api_url=address)) as api:
        return await Watch(wait).run(api, heard or Heard(), asyncio.Event())

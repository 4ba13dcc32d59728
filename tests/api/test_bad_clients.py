"""Thousands of clients that do not behave, all at once: limits hold, and everybody else is answered as before."""

import asyncio
import os
import resource
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.support.api_process import served
from tests.support.client import STATUS, Client
from tests.support.processes import started
from tests.support.seeding import Job, Projection
from tests.support.waiting import until
from tests.torture.system.resources import usage_of

pytestmark = pytest.mark.alone

IDLE = 2000
HALF = 300
DRIPPING = 100
STALLED = 30
LEAVING = int(os.environ.get("LEAVING_CLIENTS", "1000"))  # `make torture` takes more
ASKED = 300
OPEN_FILES = 4096
P99_SECONDS = 0.5
ASK_ALL = f"GET {STATUS}?owner=0x1111 HTTP/1.1\r\nHost: x\r\n\r\n".encode()
DRIP_SECONDS = 0.1


@asynccontextmanager
async def connections(api: Client, number: int, sent: bytes) -> AsyncIterator[list[asyncio.StreamWriter]]:
    """Yield connections on which something was sent, and of which nothing is read."""
    opened: list[asyncio.StreamWriter] = []
    try:
        for _ in range(number):
            _, writer = await asyncio.open_connection(api.host, api.port, limit=1)
            opened.append(writer)
            writer.write(sent)
        yield opened
    finally:
        for writer in opened:
            writer.transport.abort()


async def drip(writers: list[asyncio.StreamWriter]) -> None:
    """Send one more byte of a header on each connection, again and again."""
    while True:
        for writer in writers:
            writer.write(b"x")
        await asyncio.sleep(DRIP_SECONDS)


async def leave(api: Client, number: int) -> None:
    """Ask for much and go away in the middle of the answer, so many times."""
    for _ in range(number):
        reader, writer = await asyncio.open_connection(api.host, api.port, limit=1024)
        writer.write(ASK_ALL)
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readexactly(100)
        writer.transport.abort()


async def ask(api: Client) -> float:
    """Return how long one good query takes."""
    started = time.monotonic()
    assert len(await api.jobs("jobId=job-7")) == 1
    return time.monotonic() - started


async def test_bad_clients_disturb_nobody(redis_url: str, projection: Projection, tmp_path: Path) -> None:
    """Idle, half-sent, dripping, stalled and leaving clients do not delay good ones, and leave nothing behind."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    await projection.put(Job(job_id=f"job-{number}") for number in range(500))
    with served(started, tmp_path, REDIS_URL=redis_url, REDIS_PREFIX=projection.prefix) as running:
        async with Client(await running.address()) as api:
            await ask(api)
            base = usage_of(running.process.pid)
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(connections(api, IDLE, b""))
                await stack.enter_async_context(connections(api, HALF, b"GET /livez HTTP/1.1\r\nHost: x\r\n"))
                await stack.enter_async_context(connections(api, STALLED, ASK_ALL * 10))
                slow = await stack.enter_async_context(connections(api, DRIPPING, b"GET /livez HTTP/1.1\r\nX-"))
                assert usage_of(running.process.pid).files > base.files + HALF + STALLED
                others = [asyncio.create_task(leave(api, LEAVING // 10)) for _ in range(10)]
                dripping = asyncio.create_task(drip(slow))
                seconds = sorted([await ask(api) for _ in range(ASKED)])
                await asyncio.gather(*others)
                dripping.cancel()

            async def is_as_before() -> bool:
                now = usage_of(running.process.pid)
                return now.files <= base.files + 2

            await until(is_as_before, f"files are closed, {base.files} at first", 20)
            assert usage_of(running.process.pid).resident_kib < base.resident_kib + 128 * 1024
    assert seconds[int(0.99 * ASKED)] < P99_SECONDS, seconds[-10:]

"""Connections that ask nothing: those who ask are let in all the same."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from api.web import connections
from tests.support.client import Client, StartApi
from tests.support.seeding import Projection
from tests.support.waiting import until

PLACES = 60
KEPT = 10
FLOOD = 300
HALF = b"GET /livez HTTP/1.1\r\nHost: x\r\n"
ASKED_SECONDS = 1.0
Opened = list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]


@pytest.fixture
async def small(start_api: StartApi, projection: Projection, monkeypatch: pytest.MonkeyPatch) -> Client:
    """An API that takes few connections."""
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", PLACES)
    monkeypatch.setattr(connections, "KEPT_CONNECTIONS", KEPT)
    return await start_api(projection.prefix)


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    """Connections that the test opens; they end with it."""
    opened: Opened = []
    yield opened
    for _, writer in opened:
        writer.transport.abort()


async def is_closed(reader: asyncio.StreamReader) -> bool:
    """Tell whether the server has ended a connection, within a moment."""
    try:
        async with asyncio.timeout(0.05):
            return await reader.read(1) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


async def met(api: Client, limit: str) -> float:
    """Return how many met a limit."""
    lines = (await api.get("/metrics")).body.decode().splitlines()
    [line] = [line for line in lines if line.startswith(f'api_limits_met_total{{limit="{limit}"}}')]
    return float(line.rpartition(" ")[2])


@pytest.mark.parametrize("sent", [b"", HALF], ids=("nothing", "half"))
async def test_a_flood_of_connections_locks_nobody_out(small: Client, opened: Opened, sent: bytes) -> None:
    """More connections than there may be, none of which asks anything: who asks is answered at once, and it counts."""
    for _ in range(FLOOD):
        opened.append(await asyncio.open_connection(small.host, small.port))
        opened[-1][1].write(sent)
        if len(opened) % 50 == 0:
            started = time.monotonic()
            answer = await small.raw(HALF + b"Connection: close\r\n\r\n")
            assert b" 200 OK" in answer
            assert time.monotonic() - started < ASKED_SECONDS
    assert await met(small, "room for others") > FLOOD - PLACES


async def test_the_one_that_waited_longest_makes_room(small: Client, opened: Opened) -> None:
    """Who asked lately keeps the connection; who never did, or long ago, loses it first."""
    opened += [await asyncio.open_connection(small.host, small.port) for _ in range(PLACES - KEPT)]
    reader, writer = opened[0]
    writer.write(HALF + b"\r\n")
    await reader.readuntil(b"\r\n\r\n")
    await reader.read(100)
    opened.append(await asyncio.open_connection(small.host, small.port))
    assert await until(lambda: is_closed(opened[1][0]), "the second, which never asked, is closed")
    assert not await is_closed(reader)
    assert not await is_closed(opened[2][0])


async def test_half_a_request_has_its_time(
    small: Client, opened: Opened, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A head that does not arrive in time, also drop by drop, costs the connection; it counts and is logged."""
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(connections, "LOG_SECONDS", 0.1)
    opened.append(await asyncio.open_connection(small.host, small.port))
    reader, writer = opened[0]
    writer.write(HALF)

    async def is_cut_while_it_drips() -> bool:
        writer.write(b"x")
        return await is_closed(reader)

    await until(is_cut_while_it_drips, "the connection is cut", 5)
    assert await met(small, "half request") == 1

    async def is_logged() -> bool:
        output = capfd.readouterr()
        return "connections were cut" in output.out + output.err

    await until(is_logged, "it is logged", 5)

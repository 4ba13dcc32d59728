"""Connections that ask nothing: those who ask are let in all the same."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api.settings import MAX_STREAMS
from api.web import connections
from tests.support.api_process import served, with_open_files
from tests.support.client import STREAM, Client, StartApi
from tests.support.seeding import Projection
from tests.support.waiting import until

PLACES = 60
KEPT = 10
STREAMS, OTHERS = 40, 20
MORE_STREAMS = 100
FEW_FILES = 200
FLOOD = 300
HALF = b"GET /livez HTTP/1.1\r\nHost: x\r\n"
ASKED_SECONDS = 1.0
ANSWERED_SECONDS = 10.0
Opened = list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]


@pytest.fixture
async def small(start_api: StartApi, projection: Projection, monkeypatch: pytest.MonkeyPatch) -> Client:
    """An API that takes few connections."""
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", PLACES)
    monkeypatch.setattr(connections, "KEPT_CONNECTIONS", KEPT)
    monkeypatch.setattr(connections, "OTHER_CONNECTIONS", OTHERS)
    return await start_api(projection.prefix, API_STREAMS=str(STREAMS))


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


@pytest.mark.usefixtures("small")
async def test_more_streams_than_connections_find_their_places(
    start_api: StartApi, projection: Projection, opened: Opened
) -> None:
    """Where more streams are allowed than there are connections otherwise, each of them and others have a place."""
    api = await start_api(projection.prefix, API_STREAMS=str(MORE_STREAMS), API_STREAMS_PER_ADDRESS=str(MORE_STREAMS))
    for _ in range(MORE_STREAMS):
        opened.append(await asyncio.open_connection(api.host, api.port))
        opened[-1][1].write(f"GET {STREAM}?jobId=3333 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    for reader, _ in opened:
        async with asyncio.timeout(ANSWERED_SECONDS):
            assert b" 200 " in await reader.readline()
    assert (await api.get("/livez")).status == 200
    assert await met(api, "room for others") == await met(api, "connections") == 0


async def test_where_the_system_allows_few_files_fewer_connections_are_taken(
    redis_url: str, projection: Projection, tmp_path: Path, opened: Opened
) -> None:
    """What cannot be had is said at the start, with what to change; who asks is answered, whoever else connects."""
    settings = {"REDIS_URL": redis_url, "REDIS_PREFIX": projection.prefix, "API_STREAMS": str(MAX_STREAMS)}
    with served(with_open_files(FEW_FILES), tmp_path, **settings) as running:
        async with Client(await running.address()) as api:
            assert "allows too few open files" in running.log
            assert f"open_files={FEW_FILES} " in running.log
            for _ in range(FLOOD):
                opened.append(await asyncio.open_connection(api.host, api.port))
            started = time.monotonic()
            answer = await api.raw(HALF + b"Connection: close\r\n\r\n", ANSWERED_SECONDS)
            assert b" 200 OK" in answer
            assert time.monotonic() - started < ANSWERED_SECONDS
    assert "accept" not in running.log

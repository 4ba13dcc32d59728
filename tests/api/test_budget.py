"""The room for unfinished answers: who reads slowly, or not at all, takes it from nobody for long."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress

import orjson
import pytest

from api.metrics import Metrics
from api.projection import buckets
from api.web import budget, taking
from api.web.budget import MAX_PIECE_BYTES, MIN_PIECE_BYTES, SMALL_BYTES, Budget, Holding
from api.web.errors import BusyError
from tests.support.client import STATUS, Client, StartApi
from tests.support.seeding import Job, Projection, numbered
from tests.support.waiting import until

JOBS = 3000
ROOM = 4 * 1024 * 1024
READERS = 60
PART_SECONDS = 0.09
Stalled = Callable[[Client, str], Coroutine[None, None, socket.socket]]


@pytest.fixture
async def stalled() -> AsyncIterator[Stalled]:
    """Ask, and read nothing; the connections end with the test."""
    opened: list[socket.socket] = []

    async def ask(api: Client, query: str) -> socket.socket:
        client = socket.socket()
        opened.append(client)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(0)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, (api.host, api.port))
        await loop.sock_sendall(client, f"GET {STATUS}?{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return client

    yield ask
    for client in opened:
        client.close()


async def metric(api: Client, name: str) -> float:
    """Return the value of a metric."""
    lines = (await api.get("/metrics")).body.decode().splitlines()
    [line] = [line for line in lines if line.startswith(f"{name} ")]
    return float(line.rpartition(" ")[2])


def test_a_long_answer_that_there_is_no_room_for_is_refused_and_a_small_one_is_not() -> None:
    """What is beyond the room is refused; what was held comes back, and what is under way goes on."""
    room = Budget(Metrics())
    with Holding(room) as first, Holding(room) as second, Holding(room) as small:
        first.begin()
        first.hold(budget.UNFINISHED_BYTES)
        small.hold(SMALL_BYTES)
        with pytest.raises(BusyError):
            second.hold(SMALL_BYTES + 1)
        with pytest.raises(BusyError):
            second.begin()
        first.hold(budget.UNFINISHED_BYTES + 1)
        assert room.is_tight
    assert (room.bytes, room.answers) == (0, 0)
    with Holding(room) as third:
        third.hold(budget.UNFINISHED_BYTES)


async def test_who_makes_a_long_answer_stands_back_while_small_ones_go_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn ends with a pause when a small answer went out a moment ago, and at once when none did."""
    monkeypatch.setattr(budget, "LONGEST_PAUSE_SECONDS", 10.0)
    monkeypatch.setattr(budget, "LATELY_SECONDS", 10.0)  # however late a busy machine ends the part
    room = Budget(Metrics())

    async def turn_seconds() -> float:
        began = time.monotonic()
        async with room.turn():
            await asyncio.sleep(PART_SECONDS)
        return time.monotonic() - began

    pause = PART_SECONDS * budget.PAUSE_TIMES
    assert await turn_seconds() < PART_SECONDS + pause
    room.small()
    assert await turn_seconds() >= PART_SECONDS + pause


def test_shares_become_smaller_the_more_answers_there_are() -> None:
    """All shares together stay within the room, however many answers begin one after the other."""
    room = Budget(Metrics())
    assert room.share == MAX_PIECE_BYTES
    holdings = [Holding(room) for _ in range(500)]
    for holding in holdings:
        holding.begin()
        holding.hold(holding.share())
    assert room.bytes < budget.UNFINISHED_BYTES
    assert MIN_PIECE_BYTES <= room.share < MAX_PIECE_BYTES // 8


async def test_readers_that_take_nothing_hold_no_more_than_the_room(
    start_api: StartApi, projection: Projection, stalled: Stalled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many who ask for much and read nothing fill the room; small answers go on, and afterwards all is as before."""
    monkeypatch.setattr(budget, "UNFINISHED_BYTES", ROOM)
    await projection.put(numbered(JOBS))
    await projection.put([Job("0x9", job_id="small")])
    api = await start_api(projection.prefix)
    asked = [await stalled(api, "owner=0x1111") for _ in range(READERS)]

    async def is_full() -> bool:
        return await metric(api, "api_unfinished_bytes") > ROOM // 2

    await until(is_full, "the room is used")
    statuses = [(await api.status("owner=0x1111")).status for _ in range(5)]
    assert set(statuses) <= {200, 503}
    assert await metric(api, "api_unfinished_bytes") <= ROOM + READERS * (MIN_PIECE_BYTES + taking.WRITE_BUFFER_BYTES)
    started = time.monotonic()
    assert len(await api.jobs("owner=0x9")) == 1
    assert time.monotonic() - started < 1
    for client in asked:
        client.close()

    async def is_free() -> bool:
        return await metric(api, "api_unfinished_bytes") == 0

    await until(is_free, "the room is free again")
    assert len((await api.status("owner=0x1111")).json()) == JOBS


async def test_beyond_the_room_a_long_answer_is_a_503_that_says_when(
    start_api: StartApi, projection: Projection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole long answer is refused while others leave too much lying: as JSON, with `Retry-After`, and counted."""
    monkeypatch.setattr(budget, "UNFINISHED_BYTES", SMALL_BYTES)
    await projection.put(numbered(900))
    api = await start_api(projection.prefix)
    answer = await api.status("owner=0x1111&limit=900")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    assert "waiting to be read" in answer.error
    assert len(await api.jobs("owner=0x1111&limit=5")) == 5


async def test_who_takes_next_to_nothing_is_cut_once_room_is_short_and_who_takes_a_little_is_not(
    start_api: StartApi, projection: Projection, stalled: Stalled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The least rate is asked of those who wait while room is short; it counts what the client took, not the kernel."""
    monkeypatch.setattr(budget, "UNFINISHED_BYTES", 3 * 1024 * 1024)
    monkeypatch.setattr(budget, "SHARED_PART", 1)
    monkeypatch.setattr(taking, "RATE_SECONDS", 1.0)
    monkeypatch.setattr(buckets, "READ_BYTES", 1024 * 1024)
    outputs = {"outputsURL": [f"http://example.net/{number:0100}" for number in range(900)]}
    await projection.put(Job(job_id=f"job-{number}", details=outputs) for number in range(100))
    api = await start_api(projection.prefix)
    loop = asyncio.get_running_loop()
    slow, stuck = await stalled(api, "owner=0x1111"), await stalled(api, "owner=0x1111")

    async def count() -> int:
        lines = (await api.get("/metrics")).body.decode()
        return int(float(lines.partition('api_limits_met_total{limit="least rate"} ')[2].partition("\n")[0]))

    taken = 0
    deadline = loop.time() + 10
    while await count() < 1 and loop.time() < deadline:
        taken += len(await loop.sock_recv(slow, 2048))
        await asyncio.sleep(0.1)
    assert await count() == 1
    with suppress(ConnectionError):
        while await loop.sock_recv(stuck, 65536):
            pass
    for _ in range(20):
        taken += len(await loop.sock_recv(slow, 65536))
    assert taken > 20 * 1024


async def test_a_long_answer_in_slices_is_the_answer(api: Client, projection: Projection) -> None:
    """A body of many slices arrives whole, with its length, also behind another one and with HEAD."""
    await projection.put(numbered(1000))
    answer = await api.status("owner=0x1111")
    assert len(answer.body) == int(answer.headers["Content-Length"]) > 2 * taking.SLICE_BYTES
    assert len(orjson.loads(answer.body)) == 1000
    head = await api.request("HEAD", f"{STATUS}?owner=0x1111")
    assert (head.headers["ETag"], head.body) == (answer.headers["ETag"], b"")
    request = f"GET {STATUS}?owner=0x1111 HTTP/1.1\r\nHost: x\r\n".encode()
    raw = await api.raw(request + b"\r\n" + request + b"Connection: close\r\n\r\n")
    assert raw.count(answer.body) == 2

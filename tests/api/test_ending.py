"""How the API ends: it drains, and no request of a client that keeps its connection is lost."""

import asyncio
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.support.api_process import server
from tests.support.client import Client
from tests.support.waiting import until

CLIENTS = 32
LONG = "60"
# Far below the time to drain, which is not waited for.
SOON_SECONDS = 8
ASK = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"connection: close"


async def answer_of(reader: asyncio.StreamReader) -> bytes:
    """Return an answer of `/livez`, head and body; what came of it when the connection ended."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        return head + await reader.readexactly(len("ok\n"))
    except (ConnectionError, asyncio.IncompleteReadError):
        return b""


async def ask_on_and_on(host: str | None, port: int | None, counts: Counter[str]) -> None:
    """Ask one thing after the other, on a new connection when the answer says so, until nobody listens."""
    while True:
        try:
            reader, writer = await asyncio.open_connection(host, port)
        except ConnectionError:  # nobody listens: no request was sent
            return
        answer = b""
        while LAST not in answer.lower():
            writer.write(ASK)
            answer = await answer_of(reader)
            if not answer:
                counts["lost"] += 1
                break
            counts["answered"] += 1
        counts["told"] += LAST in answer.lower()
        writer.close()


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_it_says_that_it_drains_and_answers_meanwhile(redis_url: str, tmp_path: Path, workers: str) -> None:
    """After SIGTERM `/readyz` is 503 and each answer the last of its connection; a second SIGTERM ends the wait."""
    with server(tmp_path, "--workers", workers, REDIS_URL=redis_url, API_DRAIN_SECONDS=LONG) as running:
        async with Client(await running.address()) as api:

            async def are_there() -> bool:
                return running.log.count("listening") == int(workers)

            await until(are_there, "all listen", 30)
            assert "Connection" not in (await api.get("/livez")).headers
            running.process.send_signal(signal.SIGTERM)

            async def drain() -> bool:
                return running.log.count("draining") == int(workers)

            await until(drain, "all drain")
            for _ in range(4):
                ready, alive = await api.get("/readyz"), await api.get("/livez")
                assert (ready.status, alive.status) == (503, 200)
                assert b"asked to end" in ready.body
                assert ready.headers["Connection"] == alive.headers["Connection"] == "close"
            running.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(running.process.wait, SOON_SECONDS) == 0


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_person_does_not_wait(redis_url: str, tmp_path: Path, workers: str) -> None:
    """Ctrl-C ends it without draining."""
    with server(tmp_path, "--workers", workers, REDIS_URL=redis_url, API_DRAIN_SECONDS=LONG) as running:

        async def are_there() -> bool:
            return running.log.count("listening") == int(workers)

        await until(are_there, "all listen", 30)
        running.process.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(running.process.wait, SOON_SECONDS) == 0
        assert "draining" not in running.log


@pytest.mark.parametrize("drain_seconds", ["0", "0.5"])
async def test_no_request_of_clients_that_keep_their_connections_is_lost(
    redis_url: str, tmp_path: Path, drain_seconds: str
) -> None:
    """Whoever is answered when the end comes is told so, whoever got in is answered, and the rest is refused."""
    counts: Counter[str] = Counter()
    with server(tmp_path, REDIS_URL=redis_url, API_DRAIN_SECONDS=drain_seconds) as running:
        api = Client(await running.address())
        await api.session.close()
        clients = [asyncio.create_task(ask_on_and_on(api.host, api.port, counts)) for _ in range(CLIENTS)]

        async def all_ask() -> bool:
            return counts["answered"] > 10 * CLIENTS

        await until(all_ask, "they ask")
        running.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(running.process.wait, SOON_SECONDS) == 0
        await asyncio.gather(*clients)
    assert counts["lost"] == 0
    assert counts["told"] >= CLIENTS


async def test_pipelined_requests_are_answered_when_it_ends(redis_url: str, tmp_path: Path) -> None:
    """Requests that came in one piece all have their answers: only the last one says that it is the last."""
    with server(tmp_path, REDIS_URL=redis_url, API_DRAIN_SECONDS=LONG) as running:
        async with Client(await running.address()) as api:
            running.process.send_signal(signal.SIGTERM)

            async def drains() -> bool:
                return "draining" in running.log

            await until(drains, "it drains")
            answers = await api.raw(ASK * 20)
    assert answers.count(b"HTTP/1.1 200") == 20
    assert answers.lower().count(LAST) == 1


async def test_a_connection_that_asks_nothing_is_closed_at_the_end(redis_url: str, tmp_path: Path) -> None:
    """Who keeps a connection and asks nothing is told by its end, and does not delay it."""
    with server(tmp_path, REDIS_URL=redis_url, API_DRAIN_SECONDS="0.2") as running:
        api = Client(await running.address())
        await api.session.close()
        reader, writer = await asyncio.open_connection(api.host, api.port)
        writer.write(ASK)
        assert LAST not in (await answer_of(reader)).lower()
        running.process.send_signal(signal.SIGTERM)
        assert await reader.read() == b""
        assert await asyncio.to_thread(running.process.wait, SOON_SECONDS) == 0
        writer.close()

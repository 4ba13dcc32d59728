"""What others notice of thousands of clients that send half a request, all at once.

`python -m tests.bench.half_requests` takes 10,000 against a real API; the process needs as many open files.
"""

import asyncio
import multiprocessing
import resource
import socket
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from tests.support.api_process import Server, served
from tests.support.client import STATUS, Client
from tests.support.processes import started
from tests.support.redis_process import RedisProcess, client_of
from tests.support.seeding import Job, Projection

HALVES: Final = 10_000
HALF: Final = f"GET {STATUS}?jobId=3333 HTTP/1.1\r\nHost: x\r\n".encode()
WHOLE: Final = HALF + b"Connection: close\r\n\r\n"
LIVE: Final = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
LOOK_SECONDS: Final = 3.0
MOST_SECONDS: Final = 15.0
LOGGED: Final = "connections were cut"
PAUSE_SECONDS: Final = 0.02
SPARE_FILES: Final = 200


@dataclass(frozen=True)
class Noticed:
    """The slowest answers, each on a new connection, how many there were, and what was said of the others."""

    live_seconds: float
    query_seconds: float
    answers: int
    cut: str

    def __str__(self) -> str:
        slowest = f"/livez {self.live_seconds * 1000:.0f} ms, a query {self.query_seconds * 1000:.0f} ms"
        return f"at the slowest of {self.answers} answers: {slowest}; {self.cut}"


async def notice(running: Server, halves: int) -> Noticed:
    """Return what those notice who ask while so many half requests come from another process."""
    api = Client(await running.address())
    await _ask(api, WHOLE)
    process = multiprocessing.get_context("spawn")
    ours, theirs = process.Pipe()
    others = process.Process(target=_send_halves, args=(api.host, api.port, halves, theirs), daemon=True)
    others.start()
    live: list[float] = []
    query: list[float] = []
    try:
        await asyncio.to_thread(ours.recv)  # they begin
        began = time.monotonic()
        while time.monotonic() < began + LOOK_SECONDS or not (ours.poll() and LOGGED in running.log):
            assert time.monotonic() < began + MOST_SECONDS, running.log
            live.append(await _ask(api, LIVE))
            query.append(await _ask(api, WHOLE))
            await asyncio.sleep(PAUSE_SECONDS)
    finally:
        others.kill()
        await api.session.close()
    cut = [line.partition(LOGGED)[2].strip() for line in running.log.splitlines() if LOGGED in line]
    return Noticed(max(live), max(query), len(live) + len(query), "; ".join(cut))


async def _ask(api: Client, sent: bytes) -> float:
    """Return how long it takes to connect and to be answered."""
    started = time.monotonic()
    answer = await api.raw(sent)
    assert b" 200 OK" in answer, answer
    return time.monotonic() - started


def _send_halves(host: str, port: int, count: int, connection: Connection) -> None:
    """Connect so many times without waiting for one another, send half a request on each, and keep them."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + SPARE_FILES), hard))

    async def send(client: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with suppress(OSError):  # it was cut already
            await loop.sock_connect(client, (host, port))
            await loop.sock_sendall(client, HALF)

    async def send_all() -> None:
        clients = [socket.socket() for _ in range(count)]
        for client in clients:
            client.settimeout(0)
        connection.send("begun")
        await asyncio.gather(*map(send, clients))
        connection.send("all are sent")
        await asyncio.Event().wait()

    asyncio.run(send_all())


async def main() -> None:
    """Measure once and print it."""
    with tempfile.TemporaryDirectory() as name, RedisProcess(Path(name)) as redis:
        async with client_of(redis.url) as client:
            projection = Projection(client, "halves")
            await projection.begin()
            await projection.put([Job()])
        with served(started, Path(name), REDIS_URL=redis.url, REDIS_PREFIX="halves") as running:
            sys.stdout.write(f"{await notice(running, HALVES)}\n")


if __name__ == "__main__":
    asyncio.run(main())

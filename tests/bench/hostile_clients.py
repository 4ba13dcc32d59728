"""What others notice of clients that ask for as much as they can and take as little.

All at once: readers of a long list that take a kibibyte a second, searches for what two large indexes do not share, and
pages of very large jobs. Beside them one good client asks for one job after the other, as it did when all was quiet.
`python -m tests.bench.hostile_clients` prints what it noticed.
"""

import asyncio
import multiprocessing
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import aiohttp

from tests.support.api_process import served
from tests.support.client import STATUS, Client
from tests.support.processes import started
from tests.support.redis_process import RedisProcess, client_of
from tests.support.seeding import Job, Projection
from tests.torture.system.resources import usage_of

READ_BYTES: Final = 1024
RECEIVE_BUFFER_BYTES: Final = 4096
ASKED_PAUSE_SECONDS: Final = 0.005
SAMPLE_SECONDS: Final = 0.1
LONG, HUGE, ONE = "0xaaaa", "0xdddd", "0xeeee"
DISJOINT = "owner=0xbbbb&agreementId=0xc2"


@dataclass(frozen=True)
class Hostility:
    """How many of each, and how long."""

    readers: int = 500
    searches: int = 50
    pages: int = 3
    listed: int = 100_000
    huge_jobs: int = 1000
    huge_bytes: int = 250_000
    seconds: float = 20.0


@dataclass(frozen=True)
class Noticed:
    """The good client's times, and what became of the others."""

    quiet_p99: float
    p99: float
    slowest: float
    base_mib: float
    peak_mib: float
    alive: int
    taken_bytes: int

    def __str__(self) -> str:
        times = f"p99 {self.quiet_p99 * 1000:.1f} ms quiet, {self.p99 * 1000:.1f} ms beside them"
        memory = f"{self.base_mib:.0f} MiB, at most {self.peak_mib:.0f} MiB"
        return (
            f"{times} (slowest {self.slowest * 1000:.0f} ms); memory {memory}; "
            f"{self.alive} slow readers live, {self.taken_bytes / 1024:.0f} KiB taken"
        )


async def seed(projection: Projection, hostility: Hostility) -> None:
    """Store what is asked for."""
    count, urls = hostility.listed, hostility.huge_bytes // 1000
    outputs = {"outputsURL": [f"http://example.net/{number:0980}" for number in range(urls)]}
    for owner, agreement, name in ((LONG, "0xa1", "a"), ("0xbbbb", "0xb1", "b"), ("0xcccc", "0xc2", "c")):
        await projection.put_many_alike(Job(owner, agreement), (f"{name}-{number}" for number in range(count)))
    await projection.put_many_alike(
        Job(HUGE, "0xd1", details=outputs), (f"d-{number}" for number in range(hostility.huge_jobs))
    )
    await projection.put([Job(ONE, "0xe1", job_id="one")])


async def notice(api: Client, pid: int, hostility: Hostility) -> Noticed:
    """Return what a good client notices, first alone and then beside all the others, who are another process."""
    await _ask_for(api, 1.0)
    base = usage_of(pid).resident_kib / 1024
    quiet = await _ask_for(api, hostility.seconds / 2)
    peak = [base]
    sampling = asyncio.create_task(_sample(pid, peak))
    process = multiprocessing.get_context("spawn")
    ours, theirs = process.Pipe()
    others = process.Process(target=_be_hostile, args=(api.url, hostility, theirs), daemon=True)
    others.start()
    try:
        await asyncio.to_thread(ours.recv)  # they have begun
        late = await _ask_for(api, hostility.seconds)
        ours.send("enough")
        alive, taken = await asyncio.to_thread(ours.recv)
    finally:
        others.kill()
        sampling.cancel()
        await asyncio.gather(sampling, return_exceptions=True)
    return Noticed(_p99(quiet), _p99(late), late[-1], base, max(peak), alive, taken)


def _be_hostile(url: str, hostility: Hostility, connection: Connection) -> None:
    """Ask for much and take little until that is enough; then say how many readers live, and what they took."""

    async def ask() -> None:
        host, _, port = url.removeprefix("http://").rpartition(":")
        async with _readers(host, int(port), hostility.readers) as readers, aiohttp.ClientSession(url) as session:
            queries = [DISJOINT] * hostility.searches + [f"owner={HUGE}&limit=1000"] * hostility.pages
            tasks = [asyncio.create_task(_ask_again(session, query)) for query in queries]
            connection.send("begun")
            await asyncio.to_thread(connection.recv)
            connection.send((sum(not task.done() for task in readers.tasks), sum(readers.taken)))
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(ask())


class _Readers:
    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[None]] = []
        self.taken: list[int] = []


@asynccontextmanager
async def _readers(host: str, port: int, count: int) -> AsyncIterator[_Readers]:
    readers = _Readers()
    readers.tasks = [asyncio.create_task(_read_slowly(host, port, readers.taken)) for _ in range(count)]
    try:
        yield readers
    finally:
        for task in readers.tasks:
            task.cancel()
        await asyncio.gather(*readers.tasks, return_exceptions=True)


async def _read_slowly(host: str, port: int, taken: list[int]) -> None:
    """Ask for the long list and take a little of it each second, until the connection is closed."""
    loop = asyncio.get_running_loop()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        client.settimeout(0)
        await loop.sock_connect(client, (host, port))
        await loop.sock_sendall(client, f"GET {STATUS}?owner={LONG} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        while received := await loop.sock_recv(client, READ_BYTES):
            taken.append(len(received))
            await asyncio.sleep(1)


async def _ask_again(session: aiohttp.ClientSession, query: str) -> None:
    while True:
        async with session.get(f"{STATUS}?{query}") as answer:
            while await answer.content.readany():
                pass
        if answer.status != 200:  # refused, and told to wait
            await asyncio.sleep(1)


async def _ask_for(api: Client, seconds: float) -> list[float]:
    """Return, in order, how long the answers took that were asked for during that time."""
    took: list[float] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        started = time.monotonic()
        assert len(await api.jobs("jobId=one")) == 1
        took.append(time.monotonic() - started)
        await asyncio.sleep(ASKED_PAUSE_SECONDS)
    return sorted(took)


async def _sample(pid: int, peak: list[float]) -> None:
    while True:
        peak.append(usage_of(pid).resident_kib / 1024)
        await asyncio.sleep(SAMPLE_SECONDS)


def _p99(times: list[float]) -> float:
    return times[int(len(times) * 0.99)]


async def measure_once(hostility: Hostility) -> Noticed:
    """Start a Redis and an API; return what a good client notices there."""
    with tempfile.TemporaryDirectory() as name, RedisProcess(Path(name)) as redis:
        async with client_of(redis.url) as client:
            projection = Projection(client, "hostile")
            await projection.begin()
            await seed(projection, hostility)
        with served(started, Path(name), REDIS_URL=redis.url, REDIS_PREFIX="hostile") as running:
            async with Client(await running.address()) as api:
                return await notice(api, running.process.pid, hostility)


if __name__ == "__main__":
    sys.stdout.write(f"{asyncio.run(measure_once(Hostility()))}\n")

"""Streams: many clients of one API process, beside a plain handler with a Redis subscription for each client.

`python -m tests.bench.streams --clients 1000` measures them alone, on a Redis of its own.
"""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import orjson

from devstack import free_port
from schemas.lifecycle import STAGE_NAMES
from tests.support.api_process import server
from tests.support.applying import Applying
from tests.support.events import event
from tests.support.redis_process import RedisProcess, client_of
from tests.support.waiting import until

CHANGES_PER_SECOND = 200
CLIENTS_OF_AN_OWNER = 10
STREAM = "/api/v1/operator/status/events?owner="
STAMP = b"http://stamp/"
STAMP_DIGITS = 19
WAIT_SECONDS = 120.0
PLAIN = """
import asyncio, sys, uvloop
from aiohttp import web
from redis.asyncio import Redis
redis = Redis.from_url(sys.argv[2], max_connections=10_000)
async def stream(request):
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    async with redis.pubsub() as channel:
        await channel.subscribe(request.query["owner"])
        await response.write(b"event: snapshot\\ndata: []\\n\\n")
        async for message in channel.listen():
            if message["type"] == "message":
                await response.write(b"event: status\\ndata: " + message["data"] + b"\\n\\n")
    return response
app = web.Application()
app.router.add_get("/api/v1/operator/status/events", stream)
uvloop.install()
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
"""
# Changes a job of an owner; the text has the moment in it.
Change = Callable[[int, str], Awaitable[None]]


class Reader(asyncio.Protocol):
    """A client that reads what it is sent, and notes how old it is."""

    def __init__(self, owner: str, ages: list[float]) -> None:
        self._owner = owner
        self._ages = ages
        self._transport: asyncio.Transport | None = None
        self.has_snapshot = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(f"GET {STREAM}{self._owner} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    def data_received(self, data: bytes) -> None:
        """Note what came."""
        self.has_snapshot = self.has_snapshot or b"event: snapshot" in data
        at = data.find(STAMP)
        while at >= 0:
            start = at + len(STAMP)
            self._ages.append(time.time() - int(data[start : start + STAMP_DIGITS]) / 1e9)
            at = data.find(STAMP, start)

    def close(self) -> None:
        """Leave."""
        if self._transport is not None:
            self._transport.abort()


def used_seconds(pid: int) -> float:
    """Return how much processor time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    """Return how much memory a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def measure(name: str, pid: int, port: int, *, clients: int, seconds: float, change: Change) -> str:
    """Return what it takes to tell so many clients so many changes."""
    ages: list[float] = []
    owners = [f"0x{number // CLIENTS_OF_AN_OWNER:04x}" for number in range(clients)]
    loop = asyncio.get_running_loop()
    before, began = resident_bytes(pid), time.monotonic()
    made = await asyncio.gather(
        *(loop.create_connection(lambda owner=owner: Reader(owner, ages), "127.0.0.1", port) for owner in owners)  # type: ignore[misc]
    )
    readers: list[Reader] = [protocol for _, protocol in made]

    async def have_snapshots() -> bool:
        return all(reader.has_snapshot for reader in readers)

    await until(have_snapshots, "all have their snapshot", WAIT_SECONDS)
    snapshots = time.monotonic() - began
    memory = (resident_bytes(pid) - before) / clients
    cpu = used_seconds(pid)
    changes = await _change_on_and_on(seconds, change)
    await until(lambda: _has(ages, changes * CLIENTS_OF_AN_OWNER), "all was told", WAIT_SECONDS)
    cpu = used_seconds(pid) - cpu
    for reader in readers:
        reader.close()
    ages.sort()
    p50, p99 = (1000 * ages[int(len(ages) * part)] for part in (0.5, 0.99))
    return (
        f"  {name}: p50 {p50:6.1f} ms   p99 {p99:6.1f} ms   {1e6 * cpu / len(ages):5.0f} us of CPU a frame   "
        f"{memory / 1024:5.1f} KiB a stream   all snapshots after {snapshots:.1f} s"
    )


async def _has(ages: list[float], count: int) -> bool:
    return len(ages) >= count


async def _change_on_and_on(seconds: float, change: Change) -> int:
    """Change jobs at the rate for so long; return how many changes there were."""
    started, count = time.monotonic(), 0
    while time.monotonic() - started < seconds:
        await change(count, f"{STAMP.decode()}{time.time_ns()}")
        count += 1
        await asyncio.sleep(max(0.0, started + count / CHANGES_PER_SECOND - time.monotonic()))
    return count


async def measure_streams(redis_url: str, directory: Path, clients: int, seconds: float) -> list[str]:
    """Return the lines that tell how streams do."""
    owners = max(1, clients // CLIENTS_OF_AN_OWNER)
    limits = {"API_STREAMS": "3500", "API_STREAMS_PER_ADDRESS": "10000"}
    lines = [f"{clients} streams of one process, {CHANGES_PER_SECOND} changes/s, {CLIENTS_OF_AN_OWNER} streams each"]
    async with client_of(redis_url) as redis:
        applying = Applying(redis, f"bench-{time.time_ns()}")
        await applying.open()

        async def apply(number: int, stamp: str) -> None:
            turn, owner = divmod(number, owners)
            job, stage = f"job-{turn // len(STAGE_NAMES)}", STAGE_NAMES[turn % len(STAGE_NAMES)]
            await applying.apply(event(stage, job=job, event_id=str(number), owner=f"0x{owner:04x}", algologURL=stamp))

        async def publish(number: int, stamp: str) -> None:
            body = orjson.dumps({"attempt": 1, "job": {"algologURL": stamp, "padding": "x" * 300}})
            await redis.publish(f"0x{number % owners:04x}", body)

        with server(directory, REDIS_URL=redis_url, REDIS_PREFIX=applying.prefix, **limits) as running:
            port = int((await running.address()).rpartition(":")[2])
            lines.append(
                await measure("streams    ", running.process.pid, port, clients=clients, seconds=seconds, change=apply)
            )
            running.end(signal.SIGINT)
        with _plain(redis_url) as (pid, port):
            lines.append(await measure("one by one ", pid, port, clients=clients, seconds=seconds, change=publish))
    return lines


@contextmanager
def _plain(redis_url: str) -> Iterator[tuple[int, int]]:
    """Run the plain handler; yield its process id and its port."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", PLAIN, str(port), redis_url])
    try:
        time.sleep(2.0)
        yield process.pid, port
    finally:
        process.kill()
        process.wait()


@click.command()
@click.option("--clients", default=1000, show_default=True, help="Streams.")
@click.option("--seconds", default=5.0, show_default=True, help="How long jobs are changed.")
@click.option("--rounds", default=1, show_default=True, help="How often.")
def main(clients: int, seconds: float, rounds: int) -> None:
    """Measure streams beside a plain handler."""
    with tempfile.TemporaryDirectory() as directory, RedisProcess(Path(directory)) as redis:
        for _ in range(rounds):
            for line in asyncio.run(measure_streams(redis.url, Path(directory), clients, seconds)):
                click.echo(line)


if __name__ == "__main__":
    main()

"""Streams: many clients of one API process, beside a plain handler with a Redis subscription for each client.

`python -m tests.bench.streams --clients 1000` measures them alone, on a Redis of its own.
"""

import asyncio
import resource
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import orjson

from api.settings import MAX_STREAMS
from devstack import free_port
from schemas.lifecycle import STAGE_NAMES
from tests.bench.place import used_seconds
from tests.bench.plain_streams import plain_streams
from tests.bench.stream_clients import (
    CLIENTS_OF_AN_OWNER,
    STAMP,
    Clients,
    owner_of,
    part_of,
    resident_bytes,
)
from tests.support.api_process import served
from tests.support.applying import Applying
from tests.support.events import event
from tests.support.processes import started
from tests.support.redis_process import RedisProcess, client_of

CHANGES_PER_SECOND = 200
# Changes a job of an owner; the text has the moment in it.
Change = Callable[[int, str], Awaitable[None]]


@dataclass(frozen=True)
class Told:
    """What it took to tell clients what changed: seconds from a change to a client, and what the process used."""

    p50_seconds: float
    p99_seconds: float
    cpu_seconds_a_frame: float
    bytes_a_stream: float
    snapshots_seconds: float

    def __str__(self) -> str:
        """Return all of it in a line."""
        return (
            f"p50 {1e3 * self.p50_seconds:6.1f} ms   p99 {1e3 * self.p99_seconds:6.1f} ms   "
            f"{1e6 * self.cpu_seconds_a_frame:5.0f} us of CPU a frame   "
            f"{self.bytes_a_stream / 1024:5.1f} KiB a stream   all snapshots after {self.snapshots_seconds:.1f} s"
        )


@dataclass(frozen=True)
class Streamed:
    """The figures of the streams and of the plain handler, and how long after `kill -9` all were told again."""

    ours: Told
    plain: Told
    restarted_seconds: float
    listening_seconds: float

    def lines(self, clients: int) -> list[str]:
        """Return what a person reads."""
        since = self.restarted_seconds - self.listening_seconds
        return [
            f"{clients} streams of one process, {CHANGES_PER_SECOND} changes/s, {CLIENTS_OF_AN_OWNER} streams each",
            f"  streams    : {self.ours}",
            f"  one by one : {self.plain}",
            f"  killed     : all are told again after {self.restarted_seconds:.1f} s, {since:.1f} s after it listened",
        ]


class Streams:
    """The API, and what changes jobs under it."""

    def __init__(self, applying: Applying, directory: Path, redis_url: str, clients: int) -> None:
        self._applying = applying
        self._directory = directory
        self._clients = clients
        self.owners = max(1, clients // CLIENTS_OF_AN_OWNER)
        self._settings = {
            "API_PORT": str(free_port()),
            "REDIS_URL": redis_url,
            "REDIS_PREFIX": applying.prefix,
            "API_STREAMS": str(MAX_STREAMS),
            "API_STREAMS_PER_ADDRESS": str(MAX_STREAMS),
        }

    async def change(self, number: int, stamp: str) -> None:
        """Have the projector's step change a job of the owner whose turn it is."""
        turn, owner = divmod(number, self.owners)
        job, stage = f"job-{turn // len(STAGE_NAMES)}", STAGE_NAMES[turn % len(STAGE_NAMES)]
        item = event(stage, job=job, event_id=str(number), owner=owner_of(owner), algologURL=stamp)
        await self._applying.apply(item)

    async def measure(self, seconds: float) -> tuple[Told, float, float]:
        """Return the figures of all clients, and how long after the API was killed all were told, and it listened."""
        clients = Clients(self._clients)
        with served(started, self._directory, **self._settings) as running:
            port = int((await running.address()).rpartition(":")[2])
            told, changes = await measure(clients, running.process.pid, port, seconds, self.change)
            running.end(signal.SIGKILL)
            began = time.monotonic()
            await clients.are_lost()
        for number in range(changes, changes + self.owners):
            await self.change(number, f"{STAMP.decode()}{time.time_ns()}")
        with served(started, self._directory, **self._settings) as again:
            await again.address()
            listening = time.monotonic() - began
            await clients.come_again(port)
            restarted = time.monotonic() - began
            clients.leave()
        return told, restarted, listening


async def measure(clients: Clients, pid: int, port: int, seconds: float, change: Change) -> tuple[Told, int]:
    """Return what it takes to tell clients so many changes, and how many there were."""
    memory = resident_bytes(pid)
    snapshots = await clients.come(port)
    memory = resident_bytes(pid) - memory
    cpu = used_seconds(pid)
    changes = await _change_on_and_on(seconds, change)
    await clients.are_told(changes * CLIENTS_OF_AN_OWNER)
    cpu = used_seconds(pid) - cpu
    ages = sorted(clients.ages)
    told = Told(part_of(ages, 0.5), part_of(ages, 0.99), cpu / len(ages), memory / clients.count, snapshots)
    return told, changes


async def _change_on_and_on(seconds: float, change: Change) -> int:
    """Change jobs at the rate for so long; return how many changes there were."""
    started, count = time.monotonic(), 0
    while time.monotonic() - started < seconds:
        await change(count, f"{STAMP.decode()}{time.time_ns()}")
        count += 1
        await asyncio.sleep(max(0.0, started + count / CHANGES_PER_SECOND - time.monotonic()))
    return count


async def stream_figures(redis_url: str, directory: Path, clients: int, seconds: float) -> Streamed:
    """Measure so many streams, then the plain handler."""
    _allow_open_files()
    async with _applying(redis_url) as applying:
        streams = Streams(applying, directory, redis_url, clients)
        ours, restarted, listening = await streams.measure(seconds)

        async def publish(number: int, stamp: str) -> None:
            body = orjson.dumps({"attempt": 1, "job": {"algologURL": stamp, "padding": "x" * 300}})
            await applying.redis.publish(owner_of(number % streams.owners), body)

        with plain_streams(redis_url) as (pid, port):
            others = Clients(clients)
            plain, _ = await measure(others, pid, port, seconds, publish)
            others.leave()
    return Streamed(ours, plain, restarted, listening)


async def measure_streams(redis_url: str, directory: Path, clients: int, seconds: float) -> list[str]:
    """Return the lines that tell how streams do."""
    return (await stream_figures(redis_url, directory, clients, seconds)).lines(clients)


@asynccontextmanager
async def _applying(redis_url: str) -> AsyncIterator[Applying]:
    async with client_of(redis_url) as redis:
        applying = Applying(redis, f"bench-{time.time_ns()}")
        await applying.open()
        yield applying


def _allow_open_files() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@click.command()
@click.option("--clients", default=1000, show_default=True, type=click.IntRange(1, MAX_STREAMS), help="Streams.")
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

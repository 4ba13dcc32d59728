"""Rebuild at full speed: how fast it is, and what those who ask meanwhile notice of it."""

import asyncio
import time
from collections.abc import Callable
from itertools import islice
from typing import Final

import aiohttp

from schemas.redis_layout import POSITIONS, bucket_prefix
from tests.bench.catch_up import LIMIT_SECONDS, NEAR, written
from tests.bench.figures import percentile
from tests.bench.place import Place
from tests.support.client import STATUS
from tests.support.deployment import Deployment, wait_for
from tests.support.processes import Process

QUERIES_PER_SECOND: Final = 200
ASKED_JOBS: Final = 500


def measure_rebuild(place: Place) -> None:
    """Measure queries at a steady rate, by turns without a rebuild and with one, with an append-only file."""
    log = written(place, NEAR, place.sizes.jobs)
    with place.redis("rebuild", "on") as services, log.deployment(place, services, "rebuild") as deployment:
        process = deployment.start_projector()
        deployment.wait_until_applied(LIMIT_SECONDS)
        address = deployment.start_api()
        keys = islice(deployment.redis.scan_iter(match="*:jobid:*"), ASKED_JOBS)
        jobs = [key.decode().rpartition("jobid:")[2] for key in keys]
        asyncio.run(_measure(place, deployment, address, jobs))
        deployment.stop(process)


async def _measure(place: Place, deployment: Deployment, address: str, jobs: list[str]) -> None:
    add, seconds = place.figures.add, place.sizes.seconds
    count = sum((await deployment.ends(deployment.topic)).values())
    async with aiohttp.ClientSession(address, connector=aiohttp.TCPConnector(limit=0)) as session:
        await _late(session, jobs, _for(seconds / 3))  # warm
        for _ in range(place.sizes.rounds):
            alone = await _late(session, jobs, _for(seconds))
            during, rate = await _beside_rebuild(deployment, session, jobs, count)
            add("rebuild/alone", alone * 1000)
            add("rebuild/during", during * 1000)
            add("rebuild/ratio", during / alone)
            add("rebuild/rate", rate)


async def _beside_rebuild(
    deployment: Deployment, session: aiohttp.ClientSession, jobs: list[str], count: int
) -> tuple[float, float]:
    """Return the p99 of queries while a rebuild writes, and its events per second; drop what it replaced."""
    old = deployment.generation
    rebuilding = deployment.start("projector", "rebuild")
    key = bucket_prefix(deployment.prefix, old + 1, 0) + POSITIONS

    def applied() -> int:
        return sum(int(value) for name, value in deployment.hash(key).items() if b"#" not in name)

    first: int = await asyncio.to_thread(wait_for, applied, "the first batch", LIMIT_SECONDS)
    began = time.perf_counter()
    written = asyncio.create_task(
        asyncio.to_thread(wait_for, lambda: applied() >= count, "the last batch", LIMIT_SECONDS)
    )
    during = await _late(session, jobs, written.done)
    await written
    seconds = time.perf_counter() - began
    assert await asyncio.to_thread(_ended, rebuilding) == 0, deployment.logs()
    await asyncio.to_thread(deployment.command, "projector", "generations", "drop", str(old), "--wait", "0")
    return during, max(count - first, 1) / seconds


def _ended(process: Process) -> int:
    return process.wait(LIMIT_SECONDS)


def _for(seconds: float) -> Callable[[], bool]:
    until = time.perf_counter() + seconds
    return lambda: time.perf_counter() >= until


async def _late(session: aiohttp.ClientSession, jobs: list[str], is_over: Callable[[], bool]) -> float:
    """Return the 99th percentile, in seconds, of queries asked at a steady rate until it is over."""
    asked: list[asyncio.Task[float]] = []
    began = time.perf_counter()
    while not asked or not is_over():
        await asyncio.sleep(max(0.0, began + len(asked) / QUERIES_PER_SECOND - time.perf_counter()))
        asked.append(asyncio.create_task(_seconds(session, jobs[len(asked) % len(jobs)])))
    return percentile(await asyncio.gather(*asked), 0.99)


async def _seconds(session: aiohttp.ClientSession, job: str) -> float:
    began = time.perf_counter()
    async with session.get(STATUS, params={"jobId": job}) as answer:
        assert answer.status == 200, await answer.text()
        await answer.read()
    return time.perf_counter() - began

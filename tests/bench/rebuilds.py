"""Rebuild: how fast, in how much memory, and what those who ask meanwhile notice of it."""

import asyncio
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import aiohttp

from schemas.redis_layout import POSITIONS, bucket_prefix
from tests.bench.catch_up import LIMIT_SECONDS, CatchUp
from tests.support.deployment import Deployment, wait_for
from tests.support.processes import Process

PROCESSES = (1, 2)
QUERIES_PER_SECOND = 200
QUERY_SECONDS = 10
ASKED_JOBS = 500
# Of a rebuild that spares those who ask meanwhile.
SPARING_RATE = 2000
STATUS = "/api/v1/operator/status"


def measure_rebuilds(run: CatchUp, count: int, catch_up: float) -> Iterator[str]:
    """Yield the lines that tell a rebuild's events per second beside those of a projector that catches up."""
    place = run.deployment
    _fold_once(place)
    yield "rebuild of the same log beside the catch-up above"
    for processes in PROCESSES:
        rate, memory = _rebuild(place, count, "--processes", str(processes))
        yield f"  processes: {processes} {rate:>9,.0f}/s   {rate / catch_up:.2f} times   {memory}"
    rebuild, verify = (_seconds_of(place, command) for command in ("rebuild", "verify"))
    yield f"  whole commands: rebuild {rebuild:.1f} s   verify {verify:.1f} s   {verify / rebuild:.2f} times"


def measure_memory(place: Deployment, count: int) -> str:
    """Return the most memory that the processes of a rebuild of a log took."""
    _fold_once(place)
    return _rebuild(place, count)[1]


async def measure_queries(run: CatchUp) -> list[str]:
    """Return the lines that tell how long queries take at a steady rate, without and with a rebuild."""
    place = run.deployment
    process = await asyncio.to_thread(place.start_projector)
    await asyncio.to_thread(place.wait_until_applied, LIMIT_SECONDS)
    address = await asyncio.to_thread(place.start_api)
    keys = islice(place.redis.scan_iter(match="*:jobid:*"), ASKED_JOBS)
    jobs = [key.decode().rpartition("jobid:")[2] for key in keys]
    async with aiohttp.ClientSession(address) as session:
        await _late(session, jobs)  # warm
        without = await _late(session, jobs)
        rebuilding = place.start("projector", "rebuild", "--rate", str(SPARING_RATE))
        await asyncio.to_thread(wait_for, lambda: _children(rebuilding), "the rebuild's process")
        await asyncio.sleep(2)
        during = await _late(session, jobs)
        assert rebuilding.poll() is None, "the rebuild was over too soon"
        rebuilding.terminate()
        rebuilding.wait()
    place.stop(process)
    late = f"alone {without * 1000:.1f} ms   during `rebuild --rate {SPARING_RATE}` {during * 1000:.1f} ms"
    return [
        f"status queries at {QUERIES_PER_SECOND}/s, 99th percentile of {QUERY_SECONDS} s",
        f"  {late}   {during / without:.2f} times",
    ]


def _seconds_of(place: Deployment, command: str) -> float:
    """Return how long a command takes from its start to its end."""
    began = time.perf_counter()
    assert place.start("projector", command).wait(LIMIT_SECONDS) == 0, place.logs()
    return time.perf_counter() - began


def _fold_once(place: Deployment) -> None:
    place.forget()
    process = place.start_projector()
    place.wait_until_applied(LIMIT_SECONDS)
    place.stop(process)


def _rebuild(place: Deployment, count: int, *options: str) -> tuple[float, str]:
    """Rebuild, drop what was replaced; return the rate from the first stored position to the last, and peak memory."""
    old = place.generation
    rebuilding = place.start("projector", "rebuild", *options)
    key = bucket_prefix(place.prefix, old + 1, 0) + POSITIONS

    def applied() -> int:
        return sum(int(value) for name, value in place.hash(key).items() if b"#" not in name)

    first: int = wait_for(applied, "the first batch", LIMIT_SECONDS)
    began = time.perf_counter()
    peak: dict[str, int] = {}
    wait_for(lambda: _note_peak(rebuilding, peak) or applied() >= count, "the last batch", LIMIT_SECONDS)
    seconds = time.perf_counter() - began
    assert rebuilding.wait(LIMIT_SECONDS) == 0, place.logs()
    place.command("projector", "generations", "drop", str(old), "--wait", "0")
    each = ", ".join(f"{name} {kib / 1024:.0f} MiB" for name, kib in sorted(peak.items()))
    return (count - first) / seconds, f"peak memory: {each}"


def _note_peak(process: Process, peak: dict[str, int]) -> bool:
    """Note the most memory so far of the rebuild and of the largest of its followers."""
    for name, pids in (("command", [process.pid]), ("follower", _children(process))):
        for pid in pids:
            peak[name] = max(peak.get(name, 0), _resident_kib(pid))
    return False


def _resident_kib(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), 0)


def _children(process: Process) -> list[int]:
    try:
        return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    except OSError:
        return []


async def _late(session: aiohttp.ClientSession, jobs: list[str]) -> float:
    """Return the 99th percentile, in seconds, of queries asked at a steady rate."""
    asked = []
    began = time.perf_counter()
    for number in range(QUERIES_PER_SECOND * QUERY_SECONDS):
        await asyncio.sleep(max(0.0, began + number / QUERIES_PER_SECOND - time.perf_counter()))
        asked.append(asyncio.create_task(_seconds(session, jobs[number % len(jobs)])))
    taken = sorted(await asyncio.gather(*asked))
    return taken[int(len(taken) * 0.99)]


async def _seconds(session: aiohttp.ClientSession, job: str) -> float:
    began = time.perf_counter()
    async with session.get(STATUS, params={"jobId": job}) as answer:
        assert answer.status == 200, await answer.text()
        await answer.read()
    return time.perf_counter() - began

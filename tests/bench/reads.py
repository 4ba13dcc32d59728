"""Reads: an API over typical jobs, and status queries beside a constant body from the same kind of server."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from devstack import free_port
from schemas.identity import JobIdentity
from tests.bench.place import Place, used_seconds
from tests.bench.typical import PREFIX, Filling, typical_events, typical_jobs
from tests.support.api_process import served
from tests.support.client import STATUS
from tests.support.deployment import wait_for
from tests.support.processes import started
from tests.support.redis_process import RedisProcess, client_of

WRK: Final = ("wrk", "-t1", "-c64", "--latency")
CONSTANT: Final = """
import sys
from aiohttp import web
import uvloop
BODY = b'x' * int(sys.argv[2])
async def answer(request):
    return web.Response(body=BODY, content_type="application/json")
app = web.Application()
app.router.add_get("/", answer)
uvloop.install()
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
"""
# What wrk asks: one path after the other out of a file, for which its own numbers are random enough.
AT_RANDOM: Final = """
local paths = {}
for path in io.lines("%s") do paths[#paths + 1] = path end
function request() return wrk.format("GET", paths[math.random(#paths)]) end
"""
# Jobs of the long list stand between others, of which an owner has this many.
LISTED_OTHERS: Final = 20
LONG_OWNER: Final = 0xFFFF


@dataclass(frozen=True)
class Read:
    """An API, its process, and the jobs that can be read."""

    address: str
    pid: int
    identities: list[JobIdentity]


@asynccontextmanager
async def reading(place: Place) -> AsyncIterator[Read]:
    """Yield an API over a Redis of its own: half of the jobs are one owner's, the others are in lists of 20."""
    identities = typical_jobs(2 * place.sizes.listed, lambda job: LONG_OWNER if job % 2 else job // 2 // LISTED_OTHERS)
    directory = place.room("reads")
    with RedisProcess(directory) as redis:
        async with client_of(redis.url) as client:
            await (await Filling.begun(client)).apply(typical_events(identities))
        with served(started, directory, REDIS_URL=redis.url, REDIS_PREFIX=PREFIX) as running:
            yield Read(await running.address(), running.process.pid, identities)


def measure_queries(place: Place) -> None:
    """Measure status queries of one job and of jobs at random, by turns with a constant body; needs `wrk` on PATH."""
    if shutil.which("wrk"):
        asyncio.run(_measure_queries(place))
    else:
        place.figures.notes.append("Status queries were not measured, for wrk is not on PATH.")


async def _measure_queries(place: Place) -> None:
    async with reading(place) as read:
        paths = [f"{STATUS}?jobId={identity.job_id}" for identity in read.identities]
        random = _script(place.room("reads"), paths)
        with _constant(await _size_of(read.address + paths[0])) as (plain, address):
            ways = {
                "constant": (plain, (address,)),
                "hot": (read.pid, (read.address + paths[0],)),
                "random": (read.pid, ("-s", str(random), read.address)),
            }
            for pid, options in ways.values():  # warm
                await asyncio.to_thread(_rate, pid, place.sizes.seconds / 3, options)
            for _ in range(place.sizes.rounds):
                rates = {}
                for name, (pid, options) in ways.items():
                    rates[name], cpu = await asyncio.to_thread(_rate, pid, place.sizes.seconds, options)
                    if rates[name]:  # else something was refused: it was no round
                        place.figures.add(f"queries/{name} cpu", cpu * 1e6)
                for name in ("hot", "random"):
                    if rates[name] and rates["constant"]:
                        place.figures.add(f"queries/{name}", rates[name] / rates["constant"])


def _script(directory: Path, paths: list[str]) -> Path:
    names, script = directory / "paths", directory / "random.lua"
    names.write_text("\n".join(paths) + "\n")
    script.write_text(AT_RANDOM % names)
    return script


async def _size_of(url: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return len(await answer.read())


@contextmanager
def _constant(size: int) -> Iterator[tuple[int, str]]:
    """Run a constant body of this size; yield its process id and its address."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", CONSTANT, str(port), str(size)])
    address = f"http://127.0.0.1:{port}/"
    try:
        wait_for(lambda: _rate(process.pid, 0.1, (address,))[0], "the constant body")
        yield process.pid, address
    finally:
        process.terminate()
        process.wait()


def _rate(pid: int, seconds: float, options: tuple[str, ...]) -> tuple[float, float]:
    """Return requests per second, and how much processor time a process took for each."""
    spent = used_seconds(pid)
    # wrk takes whole seconds.
    command = [*WRK, f"-d{max(round(seconds), 1)}s", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    spent = used_seconds(pid) - spent
    words = done.stdout.split()
    if "Requests/sec:" not in words or "Non-2xx" in words:
        return 0.0, 0.0
    count = int(words[words.index("requests") - 1])
    return float(words[words.index("Requests/sec:") + 1]), spent / max(count, 1)

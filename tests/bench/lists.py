"""Lists: how fast a long one comes, what others notice of many of them, and how often short ones ask Redis."""

import asyncio
import multiprocessing
import re
import time
from multiprocessing.connection import Connection
from typing import Final

import aiohttp

from tests.bench.figures import percentile
from tests.bench.place import Place, used_seconds
from tests.bench.reads import LISTED_OTHERS, LONG_OWNER, Read, reading
from tests.support.client import STATUS

READERS: Final = 20
CLIENTS_AT_ONCE: Final = 64
ASKED_PAUSE_SECONDS: Final = 0.005
SETTLE_SECONDS: Final = 1.0
_LOOKUPS: Final = re.compile(rb"^api_queries_per_round_trip_sum (\S+)$", re.MULTILINE)
_LONG: Final = f"{STATUS}?owner=0x{LONG_OWNER:040x}"


def measure_lists(place: Place) -> None:
    """Measure lists, by turns."""
    asyncio.run(_measure_lists(place))


async def _measure_lists(place: Place) -> None:
    add = place.figures.add
    async with reading(place) as read, aiohttp.ClientSession(read.address, connector=_many()) as session:
        await _read_long(session)  # warm
        for _ in range(place.sizes.rounds):
            await asyncio.sleep(SETTLE_SECONDS)  # the API ends what others have left half read
            spent = used_seconds(read.pid)
            first, seconds = await _read_long(session)
            add("lists/cpu", 1e6 * (used_seconds(read.pid) - spent) / place.sizes.listed)
            add("lists/first", first * 1000)
            add("lists/rate", place.sizes.listed / seconds)
            add("lists/calls", await _calls_for_each(read, session))
            add("lists/alone", 1000 * percentile(await _ask_for(session, read, place.sizes.seconds), 0.99))
            add("lists/beside", 1000 * percentile(await _beside_readers(session, read, place.sizes.seconds), 0.99))


def _many() -> aiohttp.TCPConnector:
    return aiohttp.TCPConnector(limit=0)


async def _read_long(session: aiohttp.ClientSession) -> tuple[float, float]:
    """Read the long list; return the seconds until its first byte, and until its last."""
    began = time.perf_counter()
    async with session.get(_LONG) as answer:
        first = 0.0
        async for _ in answer.content.iter_any():
            first = first or time.perf_counter() - began
    return first, time.perf_counter() - began


async def _calls_for_each(read: Read, session: aiohttp.ClientSession) -> float:
    """Return how often a list of 20 is asked for in Redis, when so many clients ask for one each at once."""
    owners = max(len(read.identities) // 2 // LISTED_OTHERS, 1)
    paths = [f"{STATUS}?owner=0x{number % owners:040x}" for number in range(CLIENTS_AT_ONCE)]
    await asyncio.gather(*(_read(session, path) for path in paths))  # all are connected
    before = await _lookups(session)
    await asyncio.gather(*(_read(session, path) for path in paths))
    return (await _lookups(session) - before) / len(set(paths))


async def _lookups(session: aiohttp.ClientSession) -> float:
    found = _LOOKUPS.search(await _read(session, "/metrics"))
    assert found is not None
    return float(found[1])


async def _beside_readers(session: aiohttp.ClientSession, read: Read, seconds: float) -> list[float]:
    """Return how long small queries take while others, in a process of their own, read long lists again and again."""
    process = multiprocessing.get_context("spawn")
    ours, theirs = process.Pipe()
    others = process.Process(target=_read_on_and_on, args=(read.address, theirs), daemon=True)
    others.start()
    theirs.close()  # so that who waits for them notices when they die
    try:
        await asyncio.to_thread(ours.recv)  # they have begun
        return await _ask_for(session, read, seconds)
    finally:
        others.kill()
        others.join()


def _read_on_and_on(address: str, connection: Connection) -> None:
    async def read_again(session: aiohttp.ClientSession) -> None:
        while True:
            await _read_long(session)

    async def read_all() -> None:
        async with aiohttp.ClientSession(address, connector=_many()) as session:
            await _read_long(session)
            connection.send("begun")
            await asyncio.gather(*(read_again(session) for _ in range(READERS)))

    asyncio.run(read_all())


async def _ask_for(session: aiohttp.ClientSession, read: Read, seconds: float) -> list[float]:
    """Return how long queries take that are asked one after the other for so long."""
    took: list[float] = []
    until = time.monotonic() + seconds
    while not took or time.monotonic() < until:
        job = read.identities[len(took) % len(read.identities)].job_id
        began = time.perf_counter()
        await _read(session, f"{STATUS}?jobId={job}")
        took.append(time.perf_counter() - began)
        await asyncio.sleep(ASKED_PAUSE_SECONDS)
    return took


async def _read(session: aiohttp.ClientSession, path: str) -> bytes:
    async with session.get(path) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.read()
